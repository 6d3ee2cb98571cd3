"""Deployments that are Lambda functions: each exchange is one call of the function, once the request is whole.

Calls go over our own connections, on the event loop; credentials, signatures and what costs time by the size of a body are for threads.
Source: shared/spec/service-protocol.md, section 2.8.
"""

import asyncio
import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from perdure.base.errors import RemoteProtocolError
from perdure.base.limits import MIB
from perdure.codec.aws_lambda.events import ZSTD, FunctionAnswer, decode_answer, encode_event, shown
from perdure.deployments.address import Address, parse_address
from perdure.deployments.aws_lambda.exchange import LambdaExchange
from perdure.deployments.aws_lambda.functions import parse_function_arn
from perdure.deployments.collecting import Answer, Collector
from perdure.deployments.connecting import tls_context
from perdure.deployments.headers import key_in, merge_headers
from perdure.deployments.http1 import Http1Exchange
from perdure.deployments.http1_pool import Http1Pool
from perdure.deployments.identity import RequestIdentity
from perdure.deployments.interface import Exchange, ExchangeFailure, FailureKind, HeaderList, Receiver
from perdure.deployments.settings import ClientSettings
from perdure.model.deployment import Deployment

if TYPE_CHECKING:
    from perdure.deployments.aws_lambda.signing import Signer

THREADS_MAX: Final = 4
PAYLOAD_BYTES_MAX: Final = 64 * MIB
"""Lambda itself allows 6 MiB."""
BODY_BYTES_MAX: Final = 256 * MIB
"""Of an answer once it is decompressed."""

FUNCTION_ERROR: Final = "x-amz-function-error"
REPEATED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})


class _Call(msgspec.Struct, frozen=True):
    """A request to the API of Lambda, ready to be sent."""

    address: Address
    target: str
    headers: HeaderList
    event: bytes


class LambdaClient:
    """Implements `interface.DeploymentClient` for deployments with a `lambda_arn`.

    Where AWS is, and who we are there, the environment of the process says.
    """

    def __init__(self, settings: ClientSettings, identity: RequestIdentity | None) -> None:
        self._settings = settings
        self._identity = identity
        self._pools: dict[str, Http1Pool] = {}
        self._open: set[LambdaExchange] = set()
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="lambda")
        self._signer: Signer | None = None
        self._signer_lock = threading.Lock()

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        """Start a request; the function is called when its request side is ended."""
        signature = () if self._identity is None else self._identity.headers(path, key_in(headers))
        merged = merge_headers(headers, deployment.additional_headers | self._settings.additional_headers, signature)
        exchange = LambdaExchange(receiver, lambda body: self._call(deployment, method, path, merged, body), self._open.discard)
        self._open.add(exchange)
        return exchange

    async def close(self) -> None:
        """Cut all connections; whatever is in flight fails."""
        await asyncio.gather(*(exchange.cut() for exchange in list(self._open)))
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        self._pools.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(
        self, deployment: Deployment, method: str, path: str, headers: HeaderList, body: bytes
    ) -> FunctionAnswer | ExchangeFailure:
        """Call the function, and return what it answered or why it did not."""
        assert deployment.lambda_arn is not None
        loop = asyncio.get_running_loop()
        call = await loop.run_in_executor(self._threads, self._prepare, deployment, method, path, headers, body)
        if isinstance(call, ExchangeFailure):
            return call
        answer = await self._ask(call)
        if isinstance(answer, ExchangeFailure):
            return answer
        failure = _failure_in(answer, deployment.lambda_arn)
        if failure is not None:
            return failure
        return await loop.run_in_executor(self._threads, _decode, answer.body, deployment.lambda_arn)

    def _prepare(self, deployment: Deployment, method: str, path: str, headers: HeaderList, body: bytes) -> _Call | ExchangeFailure:
        """Pack and sign. Runs in a thread."""
        from perdure.deployments.aws_lambda.signing import Signer, SigningFailed

        with self._signer_lock:
            self._signer = signer = self._signer or Signer(external_id=self._settings.assume_role_external_id)
        can_compress = deployment.lambda_compression == ZSTD
        event = encode_event(
            method, path, headers, body, compression_bytes_min=self._settings.request_compression_bytes_min if can_compress else None
        )
        arn = deployment.lambda_arn
        assert arn is not None
        try:
            function = parse_function_arn(arn)
            address = parse_address(function.endpoint(os.environ))
            target = address.target(function.invocation_path)
            signed = signer.sign(f"{address}{target}", event, region=function.region, role_arn=deployment.lambda_assume_role_arn)
        except (ValueError, SigningFailed) as error:
            return _refused(f"{arn} cannot be called: {error}")
        return _Call(address, target, [("host", address.authority), ("content-length", str(len(event))), *signed], event)

    async def _ask(self, call: _Call) -> Answer | ExchangeFailure:
        """Send a call to AWS, and return its whole answer."""
        try:
            pool = self._pool(call.address)
        except OSError as error:
            return _refused(f"{call.address} cannot be called: {error}")
        collector = Collector(bytes_max=PAYLOAD_BYTES_MAX)
        headers = [(name.encode(), value.encode()) for name, value in call.headers]
        exchange = Http1Exchange(pool, b"POST", call.target.encode(), headers, collector)
        pool.open(exchange)
        try:
            exchange.send(call.event)
            exchange.end()
            answer = await collector.done
        finally:
            exchange.abort()
        return answer or _refused(f"the answer of {call.address} is larger than {PAYLOAD_BYTES_MAX} bytes")

    def _pool(self, address: Address) -> Http1Pool:
        pool = self._pools.get(str(address))
        if pool is None:
            context: ssl.SSLContext | None = None
            if address.is_tls:
                context = tls_context("http/1.1", os.environ.get("AWS_CA_BUNDLE") or None)
            pool = self._pools[str(address)] = Http1Pool(address, self._settings, context)
        return pool


def _failure_in(answer: Answer, arn: str) -> ExchangeFailure | None:
    """Return why `answer` is not the result of a call that succeeded."""
    if not 200 <= answer.status < 300:
        kind = answer.header("x-amzn-errortype") or "an error"
        message = f"Lambda answered the call of {arn} with {answer.status}, {kind}: {shown(answer.body)}"
        return _refused(message, may_pass=answer.status in REPEATED_STATUSES)
    error = answer.header(FUNCTION_ERROR)
    if error is not None:
        return _refused(f"{arn} failed ({error}): {shown(answer.body)}")
    if not answer.body:
        return _refused(f"{arn} returned neither a payload nor an error", may_pass=True)
    return None


def _decode(payload: bytes, arn: str) -> FunctionAnswer | ExchangeFailure:
    """Unpack what a function returned. Runs in a thread."""
    try:
        return decode_answer(payload, body_bytes_max=BODY_BYTES_MAX)
    except RemoteProtocolError as error:
        return _refused(f"{arn}: {error.message}")


def _refused(message: str, *, may_pass: bool = False) -> ExchangeFailure:
    return ExchangeFailure(FailureKind.FUNCTION, message, may_pass=may_pass)
