"""Who waits, and whom a cancellation reaches. Source: shared/spec/service-protocol.md, section 8."""


class Waits:
    """Entries that can be cancelled, by index, in the order of the journal: each is answered once, or cancelled."""

    def __init__(self) -> None:
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

    def cancel(self) -> list[int]:
        """Cancel all that wait, or the next one that will; return them."""
        cancelled = list(self._waiting)
        self._waiting.clear()
        self._answered.update(cancelled)
        self._cancels_next = not cancelled
        return cancelled
