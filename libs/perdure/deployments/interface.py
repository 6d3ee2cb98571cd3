"""How attempts reach a deployment: one exchange each, with callbacks on the event loop."""

import enum
from typing import Final, Protocol

import msgspec

from perdure.model.deployment import Deployment

HeaderList = list[tuple[str, str]]
"""Lower-case names, in order."""


class FailureKind(enum.Enum):
    """Where an exchange broke."""

    CONNECT = "connect"
    """No connection: refused, unreachable, DNS, timeout, no common protocol."""
    TLS = "tls"
    RESET = "reset"
    """The stream or the connection was cut, or the peer broke HTTP."""
    GOAWAY = "goaway"
    """The connection was drained before the peer saw the request: it is safe to repeat at once."""
    FUNCTION = "function"
    """The Lambda function failed, or AWS did not call it."""


class ExchangeFailure(msgspec.Struct, frozen=True):
    """Why an exchange ended before its response did. `message` names the address and the cause."""

    kind: FailureKind
    message: str
    is_other_http_version: bool = False
    """Whether the peer spoke HTTP, but not in the version of the deployment."""
    may_pass: bool = True
    """Whether another try soon may succeed; where not, discovery gives up."""


class Receiver(Protocol):
    """Takes what comes back. After `on_end` or `on_failure` nothing follows; after `Exchange.abort` nothing at all."""

    def on_response(self, status: int, headers: HeaderList) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failure(self, failure: ExchangeFailure) -> None: ...


class Exchange(Protocol):
    """The request side of one exchange. Calls after its end or abort do nothing."""

    def send(self, data: bytes) -> None:
        """Queue request bytes; what is queued in one loop turn leaves in one socket write, as flow control permits."""
        ...

    def end(self) -> None:
        """Close the request side (END_STREAM) after what is queued."""
        ...

    def abort(self) -> None:
        """Give the exchange up: reset the stream; no callback follows."""
        ...

    def pause_reading(self) -> None:
        """Stop granting the peer flow-control credit until `resume_reading`."""
        ...

    def resume_reading(self) -> None: ...


class _Over:
    def send(self, data: bytes) -> None: ...

    def end(self) -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


OVER: Final[Exchange] = _Over()
"""An exchange that has ended. A receiver that puts it in place of its own lets go of that one, which holds the receiver: of two that hold
each other only the collector frees the memory, and late."""


class DeploymentClient(Protocol):
    """Opens exchanges; pools connections per deployment."""

    def open(self, deployment: Deployment, method: str, path: str, headers: HeaderList, receiver: Receiver) -> Exchange:
        """Start a request to `deployment.url` + `path`; connects in the background, never blocks, never raises.

        `headers` are the protocol's; additional headers of the deployment and of the server are added here and win.
        """
        ...

    async def close(self) -> None: ...
