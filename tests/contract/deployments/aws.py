"""A local AWS, as far as calling functions needs it: the Invoke API of Lambda and AssumeRole of STS, which check every signature.

The check is written from the rules of Signature Version 4, without the library that signs.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote

REGION = "eu-central-1"
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:greeter:7"
ROLE = "arn:aws:iam::123456789012:role/caller"
OWN_KEY, OWN_SECRET = "AKIAOWN", "own-secret"
ROLE_KEY, ROLE_SECRET, ROLE_TOKEN = "ASIAROLE", "role-secret", "role-token"

PATH = "/2015-03-31/functions/"


class Refusal(NamedTuple):
    """What Lambda says instead of an answer of the function."""

    status: int
    headers: dict[str, str]
    body: bytes


Function = Callable[[dict[str, Any]], Awaitable[bytes | Refusal]]


class Call(NamedTuple):
    raw_path: str
    headers: dict[str, str]
    key: str
    event: dict[str, Any]


class Aws:
    """An ASGI application with one function. `calls` and `assumptions` keep what it was asked for."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._secrets = {OWN_KEY: OWN_SECRET, ROLE_KEY: ROLE_SECRET}
        self.calls: list[Call] = []
        self.assumptions: list[dict[str, str]] = []
        self.role_is_refused = False
        self.called = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        body = await _body_of(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        raw_path = scope["raw_path"].decode()
        assert scope["method"] == "POST"
        if raw_path.startswith(PATH):
            answer = await self._invoke(raw_path, headers, body)
        else:
            answer = self._assume_role(raw_path, headers, body)
        fields = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": fields})
        await send({"type": "http.response.body", "body": answer.body})

    async def _invoke(self, raw_path: str, headers: dict[str, str], body: bytes) -> Refusal:
        key = self._signer_of("lambda", raw_path, headers, body)
        if key is None:
            return Refusal(403, {"x-amzn-errortype": "InvalidSignatureException"}, b'{"message":"the signature does not match"}')
        name = unquote(raw_path.removeprefix(PATH).removesuffix("/invocations"))
        assert name == ARN
        assert headers.get("x-amz-invocation-type", "RequestResponse") == "RequestResponse"
        assert headers["content-length"] == str(len(body))
        self.calls.append(Call(raw_path, headers, key, json.loads(body)))
        self.called.set()
        answer = await self._function(self.calls[-1].event)
        return answer if isinstance(answer, Refusal) else Refusal(200, {"content-type": "application/json"}, answer)

    def _assume_role(self, raw_path: str, headers: dict[str, str], body: bytes) -> Refusal:
        assert self._signer_of("sts", raw_path, headers, body) == OWN_KEY
        form = {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()}
        assert form["Action"] == "AssumeRole"
        self.assumptions.append(form)
        if self.role_is_refused:
            error = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
            return Refusal(403, {"content-type": "text/xml"}, error.encode())
        credentials = (
            f"<AccessKeyId>{ROLE_KEY}</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>"
            f"<SessionToken>{ROLE_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        )
        user = f"<AssumedRoleUser><Arn>{ROLE}/x</Arn><AssumedRoleId>id:x</AssumedRoleId></AssumedRoleUser>"
        result = f"<AssumeRoleResult><Credentials>{credentials}</Credentials>{user}</AssumeRoleResult>"
        return Refusal(200, {"content-type": "text/xml"}, f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode())

    def _signer_of(self, service: str, raw_path: str, headers: dict[str, str], body: bytes) -> str | None:
        """Return the key that signed a request, or None where the signature is wrong."""
        algorithm, _, rest = headers["authorization"].partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(", "))
        key, date, region, scoped_service, last = parts["Credential"].split("/")
        assert (algorithm, region, scoped_service, last) == ("AWS4-HMAC-SHA256", REGION, service, "aws4_request")
        names = parts["SignedHeaders"].split(";")
        assert {"host", "x-amz-date"} <= set(names)
        if key == ROLE_KEY:
            assert headers["x-amz-security-token"] == ROLE_TOKEN
            assert "x-amz-security-token" in names
        canonical = "\n".join(
            (
                "POST",
                quote(raw_path, safe="/-_.~"),
                "",
                *(f"{name}:{' '.join(headers[name].split())}" for name in names),
                "",
                parts["SignedHeaders"],
                hashlib.sha256(body).hexdigest(),
            )
        )
        signed = f"{algorithm}\n{headers['x-amz-date']}\n{date}/{region}/{service}/aws4_request\n{_hex_sha256(canonical)}"
        secret = f"AWS4{self._secrets[key]}".encode()
        for part in (date, region, service, "aws4_request"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        return key if hmac.digest(secret, signed.encode(), "sha256").hex() == parts["Signature"] else None


async def _body_of(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _hex_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def sdk_function(make: Callable[[], Any]) -> AsyncIterator[Function]:
    """A function that is the Lambda handler of an SDK's application, in a thread of its own, as it wants an event loop of its own.

    Args:
        make: Makes the application; `AWS_LAMBDA_FUNCTION_NAME` must be set.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1)
    handler = await loop.run_in_executor(thread, make)

    async def function(event: dict[str, Any]) -> bytes:
        answer = await loop.run_in_executor(thread, handler, event, None)
        return json.dumps(answer).encode()

    try:
        yield function
    finally:
        await loop.run_in_executor(thread, lambda: asyncio.get_event_loop().close())
        thread.shutdown()
