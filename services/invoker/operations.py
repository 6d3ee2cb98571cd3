"""Finds the invocations that an operation on many may mean, chunk by chunk, and feeds them to the machine."""

import asyncio

import structlog

from perdure.base.errors import StoreError
from perdure.base.ids import InvocationId
from perdure.store.chunks import get_range_chunked
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import PartitionKeys, range_of
from services.invoker.loading import last_part
from services.invoker.machine.events import OperationAdvanced
from services.invoker.machine.lifecycle.operate import PURGE_ACTIONS
from services.invoker.machine.lifecycle.operate_many import CHUNK, next_live
from services.invoker.machine.step import ContinueOperation
from services.invoker.owner import OwnedPartition, Owner

log = structlog.get_logger("perdure.invoker")


class Operations:
    """Unfinished invocations are found in memory, completed ones in the store."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[None]] = set()

    def go_on(self, effect: ContinueOperation) -> None:
        """Feed the next chunk."""
        owned = self._owner.partitions.get(effect.partition)
        operation = None if owned is None else owned.view.operations.get(effect.operation_id)
        if owned is None or operation is None:
            return
        if operation.action in PURGE_ACTIONS:
            task = asyncio.ensure_future(self._feed_completed(effect, owned, operation.after))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        ids, is_last = next_live(operation, owned.view.lives)
        self._owner.feed(effect.partition, OperationAdvanced(effect.operation_id, ids, is_last))

    async def _feed_completed(self, effect: ContinueOperation, owned: OwnedPartition, after: bytes) -> None:
        try:
            ids = await self._owner.store.read(lambda tr: _completed_after(tr, owned.view.keys, after))
        except StoreError as error:
            log.warning("operation_waits", reason=error.message)
            return
        if self._owner.partitions.get(effect.partition) is owned:
            self._owner.feed(effect.partition, OperationAdvanced(effect.operation_id, ids, len(ids) < CHUNK))


def _completed_after(tr: ReadTransaction, keys: PartitionKeys, after: bytes) -> tuple[InvocationId, ...]:
    begin, end = range_of(keys.invocations)
    if after:
        begin = range_of(keys.invocation(InvocationId(after)))[1]
    return tuple(InvocationId(last_part(key)) for key, _ in get_range_chunked(tr, begin, end, limit=CHUNK))
