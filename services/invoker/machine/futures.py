"""Which futures a notification resolves. Source: shared/spec/service-protocol.md, section 6.2."""

import enum

from perdure.model.journal import Combinator, Completion, Entry, Future, Notification, Signal
from perdure.model.result import Failure

Leaf = tuple[str, int | str]
"""`("completion", id)`, `("signal", index)` or `("name", name)`."""


class Resolution(enum.Enum):
    """Whether and how a future is resolved."""

    PENDING = 0
    SUCCEEDED = 1
    FAILED = 2
    UNDETERMINED = 3


def leaf_of(notification: Notification) -> Leaf:
    """Return the leaf that a notification resolves."""
    if isinstance(notification, Completion):
        return ("completion", notification.completion_id)
    if notification.signal_index is not None:
        return ("signal", notification.signal_index)
    assert notification.signal_name is not None
    return ("name", notification.signal_name)


def resolved_leaves(entries: list[Entry]) -> dict[Leaf, Resolution]:
    """Return what the notifications among `entries` resolve; the first of several for one leaf counts."""
    leaves: dict[Leaf, Resolution] = {}
    for entry in entries:
        if isinstance(entry, Completion | Signal):
            failed = isinstance(entry.result, Failure)
            leaves.setdefault(leaf_of(entry), Resolution.FAILED if failed else Resolution.SUCCEEDED)
    return leaves


def resolve(future: Future, leaves: dict[Leaf, Resolution]) -> Resolution:
    """Evaluate a future against what has been notified."""
    own: list[Leaf] = [("completion", completion_id) for completion_id in future.completion_ids]
    own += [("signal", index) for index in future.signal_indexes]
    own += [("name", name) for name in future.signal_names]
    children = [leaves.get(leaf, Resolution.PENDING) for leaf in own]
    return _combine(future.combinator, children + [resolve(nested, leaves) for nested in future.nested])


def shrink(future: Future, leaves: dict[Leaf, Resolution]) -> Future:
    """Return a pending future without the children that are done, so that it can wait for the rest.

    A done child of a pending future is one that does not decide: all others must still come.
    """

    def is_pending(leaf: Leaf) -> bool:
        return leaves.get(leaf, Resolution.PENDING) is Resolution.PENDING

    return Future(
        completion_ids=tuple(number for number in future.completion_ids if is_pending(("completion", number))),
        signal_indexes=tuple(index for index in future.signal_indexes if is_pending(("signal", index))),
        signal_names=tuple(name for name in future.signal_names if is_pending(("name", name))),
        nested=tuple(shrink(nested, leaves) for nested in future.nested if resolve(nested, leaves) is Resolution.PENDING),
        combinator=future.combinator,
    )


def _combine(combinator: Combinator, children: list[Resolution]) -> Resolution:
    if not children:
        return Resolution.PENDING
    done = [child for child in children if child is not Resolution.PENDING]
    all_done = len(done) == len(children)
    if combinator is Combinator.ALL_COMPLETED:
        return Resolution.SUCCEEDED if all_done else Resolution.PENDING
    if not done:
        return Resolution.PENDING
    if combinator is Combinator.UNKNOWN:
        return Resolution.UNDETERMINED
    if combinator is Combinator.FIRST_COMPLETED:
        return done[0]
    if Resolution.UNDETERMINED in done:
        return Resolution.UNDETERMINED
    wins, loses = _order(combinator)
    if wins in done:
        return wins
    return loses if all_done else Resolution.PENDING


def _order(combinator: Combinator) -> tuple[Resolution, Resolution]:
    if combinator is Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED:
        return Resolution.SUCCEEDED, Resolution.FAILED
    return Resolution.FAILED, Resolution.SUCCEEDED
