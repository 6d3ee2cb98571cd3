"""Who waits, and whom a cancellation reaches. Source: shared/spec/service-protocol.md, section 8; shared/spec/seed-era.md, 9.5."""

from collections.abc import Container, Iterator


class Waits:
    """Entries that can be cancelled, by index, in the order of the journal: each is answered once, or cancelled.

    Args:
        keeps_cancellation: Whether a cancellation that finds nobody reaches the next one that will wait.
    """

    def __init__(self, *, keeps_cancellation: bool) -> None:
        self._keeps_cancellation = keeps_cancellation
        self._waiting: dict[int, None] = {}
        self._answered: set[int] = set()
        self._cancels_next = False

    def add(self, index: int) -> bool:
        """Note an entry that is durable; return whether a cancellation reaches it, which had found nobody."""
        if index in self._answered:
            return False
        if self._cancels_next:
            self._cancels_next = False
            self._answered.add(index)
            return True
        self._waiting[index] = None
        return False

    def answer(self, index: int) -> bool:
        """Note an answer, which may overtake `add`; return whether it counts."""
        if index in self._answered:
            return False
        self._answered.add(index)
        self._waiting.pop(index, None)
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(self._waiting)

    def cancel(self, *, spared: Container[int] = ()) -> list[int]:
        """Cancel all that wait but for those spared, or the next one that will; return them."""
        cancelled = [index for index in self._waiting if index not in spared]
        for index in cancelled:
            del self._waiting[index]
        self._answered.update(cancelled)
        self._cancels_next = self._keeps_cancellation and not cancelled
        return cancelled
