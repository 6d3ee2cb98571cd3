"""A durable promise of a workflow. Source: shared/spec/lifecycle.md, 5.5."""

import msgspec

from perdure.base.ids import InvocationId
from perdure.model.result import Outcome


class PromiseRecord(msgspec.Struct, array_like=True):
    """What the store keeps of a promise: it is completed, or awaited by (caller, completion id) pairs."""

    result: Outcome | None = None
    listeners: list[tuple[InvocationId, int]] = []
