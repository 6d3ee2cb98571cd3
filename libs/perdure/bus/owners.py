"""Who owns which partition, as far as announcements and heartbeats tell. A hint: owners themselves refuse what is not theirs."""

import msgspec

from perdure.bus.messages import Announcement, Heartbeat


class _Ownership(msgspec.Struct, frozen=True, gc=False):
    invoker_id: str
    epoch: int


class Owners:
    """The last known owner of each partition.

    An announcement counts if its epoch is not older than what is known. A heartbeat has no epochs, so it only fills gaps.
    """

    def __init__(self, partitions: int) -> None:
        assert partitions > 0
        self._known: list[_Ownership | None] = [None] * partitions
        self._epochs: list[int] = [-1] * partitions
        self._generations: dict[str, int] = {}

    def owner_of(self, partition: int) -> str | None:
        """Return the invoker that should own a partition, or None."""
        ownership = self._known[partition]
        return None if ownership is None else ownership.invoker_id

    def announced(self, message: Announcement) -> list[int]:
        """Take an announcement; return the partitions whose owner or epoch it changes."""
        self._generations[message.invoker_id] = message.generation
        changed: list[int] = []
        for partition in message.partitions:
            if not 0 <= partition < len(self._known):
                continue
            epoch = message.epoch_by_partition.get(partition, 0)
            ownership = _Ownership(message.invoker_id, epoch)
            if epoch >= self._epochs[partition] and ownership != self._known[partition]:
                self._known[partition] = ownership
                self._epochs[partition] = epoch
                changed.append(partition)
        return changed

    def generation_of(self, invoker_id: str) -> int:
        """Return the generation that an invoker has announced, -1 if it has not been heard."""
        return self._generations.get(invoker_id, -1)

    def beat(self, message: Heartbeat) -> list[int]:
        """Take a heartbeat; return the partitions that had no owner and have one now."""
        if message.is_leaving:
            self.forget(message.process_id)
            return []
        changed: list[int] = []
        for partition in message.partitions:
            if 0 <= partition < len(self._known) and self._known[partition] is None:
                self._known[partition] = _Ownership(message.process_id, self._epochs[partition])
                changed.append(partition)
        return changed

    def disown(self, partition: int, invoker_id: str) -> None:
        """Take a refusal: the invoker does not own the partition (any more). The next announcement or heartbeat tells who does."""
        if self.owner_of(partition) == invoker_id:
            self._known[partition] = None

    def forget(self, invoker_id: str) -> None:
        """Drop an invoker that nobody hears any more; the epochs stay known."""
        self._generations.pop(invoker_id, None)
        for partition, ownership in enumerate(self._known):
            if ownership is not None and ownership.invoker_id == invoker_id:
                self._known[partition] = None
