"""Reads from the store: partitions at takeover, look-ups for events, journals and state for attempts, timers, mail.

What several events need in one turn of the loop is read in one transaction.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from perdure.base.errors import StoreError
from perdure.base.ids import InvocationId
from perdure.base.limits import VALUE_BYTES_MAX
from perdure.model.invocation import InvocationRecord, Status
from perdure.model.journal import StoredEntry
from perdure.model.promise import PromiseRecord
from perdure.model.state import StateMutation
from perdure.model.timer import Timer, TimerKind
from perdure.store.chunks import Pairs, get_many_chunked, get_ranges_chunked
from perdure.store.interface import ReadTransaction, Store
from perdure.store.keyspace import PartitionKeys, range_of, unpack
from perdure.store.ranges import scan
from services.invoker.ahead import clear_left_over
from services.invoker.machine.events import Event, MailReceived
from services.invoker.machine.view import (
    CachedState,
    Live,
    ObjectKey,
    OperationRecord,
    PartitionView,
    WaitingMutation,
)
from services.invoker.owner import OwnedPartition, Owner

Range = tuple[bytes, bytes]

READS_MAX: Final = 200
"""Look-ups, and as many preparations, that are read in one snapshot: FoundationDB keeps one for five seconds."""

decode_record = msgspec.msgpack.Decoder(InvocationRecord).decode
decode_entry = msgspec.msgpack.Decoder(StoredEntry).decode
_decode_operation = msgspec.msgpack.Decoder(OperationRecord).decode
_decode_promise = msgspec.msgpack.Decoder(PromiseRecord).decode
_decode_mutation = msgspec.msgpack.Decoder(StateMutation).decode

log = structlog.get_logger("perdure.invoker")


class _Lookup(msgspec.Struct, frozen=True):
    owned: OwnedPartition
    partition: int
    event: Event
    records_of: tuple[InvocationId, ...]
    journals_of: tuple[InvocationId, ...]
    states_of: tuple[ObjectKey, ...]


class _Preparation(msgspec.Struct, frozen=True):
    owned: OwnedPartition
    live: Live
    attempt: int
    then: Callable[[bool], None]


class Loader:
    """Batches the reads of one loop turn; feeds the owner when they are there."""

    def __init__(self, owner: Owner, *, state_cache_keys: int) -> None:
        self._owner = owner
        self._state_cache_keys = state_cache_keys
        self._lookups: list[_Lookup] = []
        self._preparations: list[_Preparation] = []
        self._reading: asyncio.Task[None] | None = None

    # Look-ups for events.

    def lookup(self, partition: int, event: Event) -> None:
        """Read what an event needs, then apply it."""
        owned = self._owner.partitions[partition]
        machine = owned.machine
        records_of = machine.lookups_of(event)
        for invocation_id in records_of:
            owned.view.lookups[invocation_id] = owned.view.lookups.get(invocation_id, 0) + 1
        self._lookups.append(_Lookup(owned, partition, event, records_of, machine.journals_of(event), machine.states_of(event)))
        self._schedule()

    # Journal and state for attempts.

    def prepare(self, partition: int, live: Live, attempt: int, then: Callable[[bool], None]) -> None:
        """Read the journal and state that an attempt needs, then call `then` once: with false if it is no longer wanted."""
        self._preparations.append(_Preparation(self._owner.partitions[partition], live, attempt, then))
        self._schedule()

    def is_prepared(self, view: PartitionView, live: Live) -> bool:
        """Whether an attempt can start from memory alone."""
        if live.journal is None:
            return False
        target = live.record.target
        return target.key is None or (target.service, target.key) in view.states

    def trim(self, view: PartitionView) -> None:
        """Let go of the state that was used longest ago, if nothing needs it and all its writes have committed."""
        excess = len(view.states) - self._state_cache_keys
        if excess <= 0:
            return
        for key in list(view.states)[: excess + 16]:
            state = view.states[key]
            if not state.pins and self._owner.is_durable(state):
                del view.states[key]

    def _schedule(self) -> None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read_all_that_gathers())

    async def _read_all_that_gathers(self) -> None:
        """One read at a time: what gathers meanwhile is read next, so that what was asked first is there first."""
        try:
            while self._lookups or self._preparations:
                await self._read()
        finally:
            self._reading = None

    async def _read(self) -> None:
        lookups, self._lookups = self._lookups[:READS_MAX], self._lookups[READS_MAX:]
        preparations, self._preparations = self._preparations[:READS_MAX], self._preparations[READS_MAX:]
        try:
            found = await self._owner.store.read(lambda tr: _read_all(tr, lookups, preparations))
        except StoreError as error:
            log.error("store_read_failed", reason=error.message)
            self._owner.drop_all()
            self._owner.on_lost()
            for preparation in preparations:
                preparation.then(False)
            return
        records, journals, states = found
        for lookup in lookups:
            self._finish_lookup(lookup, records, journals, states)
        for preparation in preparations:
            self._finish_preparation(preparation, journals, states)

    def _finish_lookup(
        self,
        lookup: _Lookup,
        records: dict[InvocationId, InvocationRecord],
        journals: dict[InvocationId, list[StoredEntry]],
        states: dict[ObjectKey, CachedState],
    ) -> None:
        owned, view = lookup.owned, lookup.owned.view
        owned.mail_in_lookup -= isinstance(lookup.event, MailReceived)
        if self._owner.partitions.get(lookup.partition) is not owned or owned.is_closing:
            return
        for invocation_id in lookup.records_of:
            record = records.get(invocation_id)
            if record is not None and invocation_id not in view.lives:
                view.found[invocation_id] = record
            _unpin(view, invocation_id)
        for invocation_id in lookup.journals_of:
            view.journals[invocation_id] = [stored.entry for stored in journals.get(invocation_id, [])]
        for key in lookup.states_of:
            view.states.setdefault(key, states[key])
        self._owner.apply(owned, lookup.event)
        view.found.clear()
        view.journals.clear()
        if lookup.states_of:
            self.trim(view)
        for invocation_id in lookup.records_of:
            live = view.lives.get(invocation_id)
            if live is not None:
                view.forget(live)

    def _finish_preparation(
        self, preparation: _Preparation, journals: dict[InvocationId, list[StoredEntry]], states: dict[ObjectKey, CachedState]
    ) -> None:
        owned, live = preparation.owned, preparation.live
        view = owned.view
        is_ours = self._owner.partitions.get(view.number) is owned
        if not is_ours or view.lives.get(live.id) is not live or live.attempt != preparation.attempt:
            preparation.then(False)
            return
        if live.journal is None:
            entries = journals[live.id][: live.record.journal_length - len(live.tail)]
            owned.machine.journal_loaded(live, [stored.entry for stored in entries])
            if self._owner.tracer is not None:
                self._owner.tracer.journal_loaded(live, entries)
        target = live.record.target
        if target.key is not None:
            key = (target.service, target.key)
            if key not in view.states:
                view.states[key] = states[key]
                self.trim(view)
        preparation.then(True)


def _read_all(
    tr: ReadTransaction, lookups: list[_Lookup], preparations: list[_Preparation]
) -> tuple[dict[InvocationId, InvocationRecord], dict[InvocationId, list[StoredEntry]], dict[ObjectKey, CachedState]]:
    records_at: dict[InvocationId, bytes] = {}
    journals_in: dict[InvocationId, Range] = {}
    states_in: dict[ObjectKey, Range] = {}
    promises_in: dict[ObjectKey, Range] = {}
    for lookup in lookups:
        keys = lookup.owned.view.keys
        records_at |= {invocation_id: keys.invocation(invocation_id) for invocation_id in lookup.records_of}
        journals_in |= {invocation_id: range_of(keys.journal(invocation_id)) for invocation_id in lookup.journals_of}
        states_in |= {object_key: range_of(keys.state_of(*object_key)) for object_key in lookup.states_of}
        promises_in |= {object_key: range_of(keys.promises_of(*object_key)) for object_key in lookup.states_of}
    for preparation in preparations:
        live, keys = preparation.live, preparation.owned.view.keys
        target = live.record.target
        if live.journal is None:
            journals_in[live.id] = range_of(keys.journal(live.id))
        if target.key is not None:
            states_in[target.service, target.key] = range_of(keys.state_of(target.service, target.key))
        if target.key is not None and target.is_workflow:
            promises_in[target.service, target.key] = range_of(keys.promises_of(target.service, target.key))
    records = zip(records_at, get_many_chunked(tr, list(records_at.values())), strict=True)
    found = iter(get_ranges_chunked(tr, [*journals_in.values(), *states_in.values(), *promises_in.values()]))
    journals = {invocation_id: [decode_entry(raw) for _, raw in next(found)] for invocation_id in journals_in}
    entries = {object_key: _entries_of(next(found)) for object_key in states_in}
    promises = {object_key: _promises_of(next(found)) for object_key in promises_in}
    return (
        {invocation_id: decode_record(raw) for invocation_id, raw in records if raw is not None},
        journals,
        {object_key: CachedState(rows, promises.get(object_key, {})) for object_key, rows in entries.items()},
    )


def _read_state(tr: ReadTransaction, keys: PartitionKeys, service: str, key: str) -> CachedState:
    ranges = [range_of(keys.state_of(service, key)), range_of(keys.promises_of(service, key))]
    entries, promises = get_ranges_chunked(tr, ranges)
    return CachedState(_entries_of(entries), _promises_of(promises))


def _entries_of(rows: Pairs) -> dict[bytes, bytes]:
    return {last_part(row): raw for row, raw in rows}


def _promises_of(rows: Pairs) -> dict[str, PromiseRecord]:
    return {_last_text(row): _decode_promise(raw) for row, raw in rows}


def last_part(key: bytes) -> bytes:
    part = unpack(key)[-1]
    assert isinstance(part, bytes)
    return part


def _last_text(key: bytes) -> str:
    part = unpack(key)[-1]
    assert isinstance(part, str)
    return part


def _unpin(view: PartitionView, invocation_id: InvocationId) -> None:
    view.lookups[invocation_id] -= 1
    if not view.lookups[invocation_id]:
        del view.lookups[invocation_id]


async def load_partition(store: Store, owned: OwnedPartition, horizon_ms: int) -> None:
    """Read what an owner keeps in memory of a partition: unfinished invocations, counters, near timers.

    Raises:
        StoreError: The store could not be read, or the partition has another owner by now.
    """
    view = owned.view
    await clear_left_over(store, view.keys, owned.lease_value)
    async for page in scan(store, *range_of(view.keys.live), is_chunked=True):
        for key, raw in page:
            invocation_id = InvocationId(last_part(key))
            owned.machine.load(invocation_id, decode_record(raw), is_wide=len(raw) > VALUE_BYTES_MAX)
    async for page in scan(store, *range_of(view.keys.counts)):
        for key, raw in page:
            count = view.counts[key] = int.from_bytes(raw, "little", signed=True)
            view.totals[Status[str(unpack(key)[-1]).upper()]] += count
    async for page in scan(store, *range_of(view.keys.operations)):
        for key, raw in page:
            view.operations[last_part(key)] = _decode_operation(raw)
    await _load_mutations(store, owned)
    await load_timers(store, view, horizon_ms)


async def _load_mutations(store: Store, owned: OwnedPartition) -> None:
    view = owned.view
    async for page in scan(store, *range_of(view.keys.mutations), is_chunked=True):
        for row, raw in page:
            service, key, sequence = unpack(row)[-3:]
            assert isinstance(service, str)
            assert isinstance(key, str)
            assert isinstance(sequence, int)
            state = await store.read(lambda tr, service=service, key=key: _read_state(tr, view.keys, service, key))
            owned.machine.load_mutation((service, key), WaitingMutation(sequence, _decode_mutation(raw)), state)


async def load_timers(store: Store, view: PartitionView, horizon_ms: int) -> None:
    """Take timers up to `horizon_ms` into memory; those that are armed meanwhile are taken at once.

    Raises:
        StoreError: The store could not be read; the next call begins where this one did.
    """
    before_ms = view.timer_horizon_ms
    begin = view.keys.timers_from(before_ms) if before_ms else range_of(view.keys.timers)[0]
    view.timer_horizon_ms = horizon_ms
    try:
        async for page in scan(store, begin, view.keys.timers_from(horizon_ms)):
            for key, value in page:
                view.arm(_timer_of(key, value))
    except StoreError:
        view.timer_horizon_ms = before_ms
        raise


def _timer_of(key: bytes, value: bytes) -> Timer:
    at_ms, invocation_id, number = unpack(key)[-3:]
    assert isinstance(at_ms, int)
    assert isinstance(invocation_id, bytes)
    assert isinstance(number, int)
    return Timer(at_ms, InvocationId(invocation_id), number, TimerKind(value[0]))
