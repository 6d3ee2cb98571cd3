"""A Kafka topic as a source, over librdkafka. Importing this module loads it (14 MB).

The reader assigns partitions to itself and joins no consumer group: who reads what follows from the living invokers, and how far from our
own store. Offsets are still committed for the group, so that the usual tools show the lag.
Source: shared/spec/lifecycle.md, section 11.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from perdure.model.subscription import Subscription
from perdure.registry.subscriptions import CLIENT_ID, GROUP_ID
from services.invoker.subscriptions.mapping import kafka_attributes
from services.invoker.subscriptions.source import Record, SourceFailed

T = TypeVar("T")

RECORDS_MAX: Final = 500
"""Records of one `take`."""
TAKE_S_MAX: Final = 0.5
METADATA_S: Final = 30.0
"""How often new partitions are looked for."""
ANSWER_S_MAX: Final = 5.0

_RESET: Final = "auto.offset.reset"
_BEGINNING: Final = frozenset({"smallest", "earliest", "beginning"})
_END: Final = frozenset({"largest", "latest", "end"})
_DEFAULTS: Final = {"queued.max.messages.kbytes": "16384", CLIENT_ID: "restate"}
_FORCED: Final[dict[str, Any]] = {"enable.auto.commit": False, "enable.auto.offset.store": False, _RESET: "error"}
"""Where reading goes on is ours to say; a position that the broker no longer has is an error, not a jump."""

log = structlog.get_logger("perdure.subscriptions")
_silent = logging.getLogger("perdure.librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class KafkaSource:
    """Implement `Source`. All calls of librdkafka block, and run in a thread of this reader's own."""

    def __init__(self, subscription: Subscription, properties: Mapping[str, str]) -> None:
        self._subscription = subscription
        self._topic = subscription.topic
        wanted = {**_DEFAULTS, GROUP_ID: subscription.id, **properties, **subscription.options}
        self._reset = wanted.get(_RESET, "largest")
        self._unreachable: str | None = None
        self._trouble: SourceFailed | None = None
        self._partitions: list[int] = []
        self._partitions_until_s = 0.0
        try:
            self._consumer = Consumer({**wanted, **_FORCED, "error_cb": self._note_error, "logger": _silent})
        except KafkaException as error:
            raise _failed("the options are not those of a Kafka consumer", error) from None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{subscription.id}")

    async def partitions(self) -> list[int]:
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._partitions_until_s:
            self._partitions = await self._run(self._find_partitions)
            self._partitions_until_s = now_s + METADATA_S
        return self._partitions

    async def first_offset(self, partition: int) -> int:
        return await self._run(lambda: self._find_first(partition))

    async def read_from(self, begin: Mapping[int, int]) -> None:
        await self._run(lambda: self._assign(begin))

    async def take(self) -> list[Record]:
        if self._trouble is not None:
            raise self._trouble
        records: list[Record] = []
        for message in await self._run(self._consume):
            error = message.error()
            if error is not None:
                self._trouble = SourceFailed(f"topic {self._topic}: {error.str()}")
                break
            records.append(self._record_of(message))
        if not records and self._trouble is not None:
            raise self._trouble
        return records

    async def confirm(self, next_offsets: Mapping[int, int]) -> None:
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in next_offsets.items()]
        await self._run(lambda: self._consumer.commit(offsets=offsets, asynchronous=True))

    async def close(self) -> None:
        self._thread.submit(self._consumer.close)  # behind what it still waits for, and nobody waits for that
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except KafkaException as error:
            raise _failed(f"topic {self._topic}", error, self._unreachable) from None

    # In the thread.

    def _find_partitions(self) -> list[int]:
        found = self._consumer.list_topics(self._topic, timeout=ANSWER_S_MAX).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        self._unreachable = None
        return sorted(found.partitions)

    def _find_first(self, partition: int) -> int:
        place = TopicPartition(self._topic, partition)
        committed = self._consumer.committed([place], timeout=ANSWER_S_MAX)[0].offset
        if committed >= 0:
            return committed
        low, high = self._bounds(partition)
        if self._reset in _BEGINNING:
            return low
        if self._reset in _END:
            return high
        raise SourceFailed(f"partition {partition} of {self._topic} was never read by this group, and {_RESET} is {self._reset}")

    def _bounds(self, partition: int) -> tuple[int, int]:
        return self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=ANSWER_S_MAX)

    def _assign(self, begin: Mapping[int, int]) -> None:
        places: list[TopicPartition] = []
        for partition, offset in begin.items():
            low, high = self._bounds(partition)
            if offset > high:
                raise SourceFailed(
                    f"partition {partition} of {self._topic} ends at {high}, before {offset}, up to which it was read: if the topic was "
                    "made anew, delete the subscription and create it again"
                )
            if offset < low:
                log.warning("records_removed_unread", subscription=self._subscription.id, partition=partition, records=low - offset)
            places.append(TopicPartition(self._topic, partition, max(offset, low)))
        self._consumer.assign(places)

    def _consume(self) -> list[Message]:
        """Wait for the first message only: `consume` would wait until its list is full."""
        first = self._consumer.poll(TAKE_S_MAX)
        if first is None:
            if self._unreachable is not None:
                raise SourceFailed(self._unreachable)
            return []
        self._unreachable = None
        return [first, *self._consumer.consume(RECORDS_MAX - 1, 0)]

    def _note_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():  # pyright: ignore[reportPrivateUsage]  # its public name
            self._unreachable = error.str()

    def _record_of(self, message: Message) -> Record:
        partition, offset, key = message.partition(), message.offset(), message.key()
        assert partition is not None
        assert offset is not None
        kind, timestamp_ms = message.timestamp()
        attributes = kafka_attributes(self._subscription.id, self._topic, partition, offset, timestamp_ms if kind else None, _bytes_of(key))
        return Record(partition, offset, _bytes_of(key), _bytes_of(message.value()) or b"", attributes)


def _bytes_of(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _failed(what: str, error: KafkaException, because: str | None = None) -> SourceFailed:
    reason: KafkaError | str = error.args[0] if error.args else "unknown"
    text = reason.str() if isinstance(reason, KafkaError) else str(reason)
    return SourceFailed(f"{what}: {text}" + (f" ({because})" if because else ""))
