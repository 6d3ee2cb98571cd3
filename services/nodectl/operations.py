"""What operators change by way of this process: which level others log at, which process drains, who owns a partition."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from perdure.base.errors import StoreError
from perdure.bus.interface import NoResponders
from perdure.bus.messages import VERSION, Doorbell, Drain, Heartbeat, encode
from perdure.process.access import brings_token
from perdure.process.runtime import Runtime
from perdure.store.keyspace import Keyspace
from perdure.store.placements import place
from services.nodectl.config import NodectlConfig
from services.nodectl.log_levels import set_log_level
from services.nodectl.refusal import Refused

ANSWER_S_MAX: Final = 2.0
"""How long a process may take to say that it drains."""

Parameters = Mapping[str, str]


class Operations:
    """Carries out what a query asks for, if it brings the token. Each may be repeated."""

    def __init__(self, runtime: Runtime[NodectlConfig], keyspace: Keyspace, partitions: int) -> None:
        self._runtime = runtime
        self._keyspace = keyspace
        self._partitions = partitions
        self.by_path: Mapping[str, Callable[[Parameters], Awaitable[Any]]] = {
            "/log-level": self._set_log_level,
            "/drain": self._drain,
            "/move": self._move,
        }

    async def carry_out(self, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> Any:
        """Return what to answer, as JSON has it.

        Raises:
            Refused: It was not carried out.
        """
        if not brings_token(headers, self._runtime.config.auth_token):
            raise Refused(401, "this operation wants `authorization: Bearer` with the token that `auth_token` sets")
        parameters = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
        done = await self.by_path[path](parameters)
        self._runtime.log.info("operation_carried_out", path=path, parameters=parameters)
        return done

    async def _set_log_level(self, parameters: Parameters) -> Any:
        runtime = self._runtime
        return await set_log_level(parameters, runtime.bus, runtime.subjects, runtime.peers)

    async def _drain(self, parameters: Parameters) -> Any:
        process = self._process(parameters.get("process", ""))
        if process.role == "invoker" and not self._others(process):
            raise Refused(409, f"{process.process_id} is the only invoker that can own partitions; start another one first")
        try:
            await self._runtime.bus.request(
                self._runtime.subjects.drain(process.process_id), encode(Drain(VERSION)), timeout_s=ANSWER_S_MAX
            )
        except NoResponders:
            raise Refused(404, f"{process.process_id} is gone, or of a version that does not drain when told") from None
        except TimeoutError:
            raise Refused(504, f"{process.process_id} does not answer; it may drain, ask again") from None
        return {"process_id": process.process_id, "role": process.role}

    async def _move(self, parameters: Parameters) -> Any:
        partition = self._partition(parameters.get("partition", ""))
        process_id = parameters.get("process", "")
        if process_id:
            process = self._process(process_id)
            if process.role != "invoker":
                raise Refused(400, f"{process_id} is no invoker: only invokers own partitions")
            if process.is_draining:
                raise Refused(409, f"{process_id} drains: it takes no partitions")
        try:
            await self._runtime.store.transact(lambda tr: place(tr, self._keyspace, partition, process_id))
        except StoreError as error:
            raise Refused(503, f"the store did not take it: {error.message}") from None
        self._runtime.bus.publish(self._runtime.subjects.doorbell, encode(Doorbell(VERSION, [partition])))
        return {"partition": partition, "process_id": process_id}

    def _process(self, process_id: str) -> Heartbeat:
        for heartbeat in self._runtime.peers.alive():
            if heartbeat.process_id == process_id:
                return heartbeat
        if not process_id:
            raise Refused(400, "process is the name of one; `perdure status` lists them")
        raise Refused(404, f"no process {process_id!r} is alive; `perdure status` lists those that are")

    def _others(self, process: Heartbeat) -> list[Heartbeat]:
        """Return the invokers that could take the partitions of one."""
        return [each for each in self._runtime.peers.alive("invoker") if each.process_id != process.process_id and not each.is_draining]

    def _partition(self, text: str) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 4 or int(text) >= self._partitions:
            raise Refused(400, f"partition is a number from 0 to {self._partitions - 1}")
        return int(text)
