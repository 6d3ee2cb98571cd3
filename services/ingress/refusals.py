"""Requests that the ingress itself turns down: status and exact text. Source: shared/spec/ingress.md, section 17."""

from typing import Final

from perdure.base.limits import OBJECT_KEY_BYTES_MAX


class Refused(Exception):  # reads as what happened to the request
    """The request gets a JSON error whose source is the ingress.

    Attributes:
        status: HTTP status, also the `code` of the body.
        message: What the client reads.
        retry_after_s: Set where repeating the request later makes sense.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class Unregistered(Refused):
    """The metadata at hand has no such service or handler."""


_SHORT_PATH: Final = "bad path, expected either /:service-name/:handler or /:object-name/:object-key/:handler"
_LONG_PATH: Final = (
    "bad path, expected /restate/call/:service/:handler, /restate/send/:service/:handler, "
    "/restate/scope/:scope/call/:service/:handler, /restate/attach/:invocation_id, /restate/output/:invocation_id, or /restate/lookup"
)
_AWAKEABLE_PATH: Final = "bad path, expected either /restate/awakeables/:id/resolve or /restate/awakeables/:id/reject"
_INVOCATION_PATH: Final = (
    "bad path, expected either /restate/invocation/:invocation_id/output or /restate/invocation/:invocation_id/attach "
    "or /restate/invocation/:invocation_target/:idempotency_key/output or /restate/invocation/:invocation_target/:idempotency_key/attach"
)
_WORKFLOW_PATH: Final = (
    "bad path, expected either /restate/workflow/:workflow_name/:workflow_key/output "
    "or /restate/workflow/:workflow_name/:workflow_key/attach"
)


def bad_path(path: bytes) -> Refused:
    """Too few or too many slashes."""
    return Refused(400, f"bad path: {path.decode('utf-8', 'replace')}")


def bad_short_path() -> Refused:
    """Not `/service[/key]/handler[/send]`."""
    return Refused(400, _SHORT_PATH)


def bad_long_path() -> Refused:
    """Not a form under `/restate/call`, `send`, `scope`, `attach`, `output` or `lookup`."""
    return Refused(400, _LONG_PATH)


def bad_awakeable_path() -> Refused:
    """Parts of an awakeable's path are missing."""
    return Refused(400, _AWAKEABLE_PATH)


def bad_invocation_path() -> Refused:
    """Parts of `/restate/invocation/...` are missing."""
    return Refused(400, _INVOCATION_PATH)


def bad_workflow_path() -> Refused:
    """Parts of `/restate/workflow/...` are missing."""
    return Refused(400, _WORKFLOW_PATH)


def bad_key(raw: bytes, error: UnicodeDecodeError) -> Refused:
    """A key is not UTF-8 after percent-decoding."""
    length = "None" if error.reason == "unexpected end of data" else f"Some({error.end - error.start})"
    text = f"FromUtf8Error {{ bytes: {list(raw)}, error: Utf8Error {{ valid_up_to: {error.start}, error_len: {length} }} }}"
    return Refused(400, f"bad path, cannot decode key: {text}")


def key_too_long() -> Refused:
    """The store cannot hold a key of this length."""
    return Refused(400, f"the key has more than {OBJECT_KEY_BYTES_MAX} bytes")


def bad_header(name: str) -> Refused:
    """A header's value is not visible ASCII."""
    return Refused(400, f"bad header {name}: ToStrError {{ _priv: () }}")


def bad_input(reason: str) -> Refused:
    """Content type or body do not fit the handler's input rules."""
    return Refused(400, f"input validation error: {reason}")


def bad_delay(reason: str) -> Refused:
    """The `delay` parameter is not a duration."""
    return Refused(400, f"bad delay query parameter, must be a ISO8601 duration: {reason}")


def delay_with_call() -> Refused:
    """`delay` came with a call."""
    return Refused(400, "cannot use the delay query parameter with calls. The delay is supported only with sends")


def bad_scope(reason: str) -> Refused:
    """A scope breaks the syntax."""
    return Refused(400, f"bad scope value: {reason}")


def scopes_disabled() -> Refused:
    """A scoped request; scopes are not offered."""
    return Refused(400, "scoped invocations require vqueues to be enabled")


def bad_limit_key(reason: str) -> Refused:
    """A limit key breaks the syntax."""
    return Refused(400, f"invalid limit-key: {reason}")


def limit_key_without_scope() -> Refused:
    """A limit key on an unscoped request."""
    return Refused(400, "limit-key requires a scope to be set")


def bad_invocation_id(text: str, reason: str) -> Refused:
    """Not an invocation id."""
    return Refused(400, f"bad invocation id '{text}': {reason}")


def bad_awakeable_id(text: str, reason: str) -> Refused:
    """Neither a signal's nor an old awakeable's id."""
    return Refused(400, f"bad awakeable id '{text}': {reason}")


def not_public() -> Refused:
    """The service or handler is private to the ingress."""
    return Refused(400, "the invoked service is not public")


def idempotency_key_on_workflow() -> Refused:
    """The run of a workflow is idempotent by its key."""
    return Refused(
        400,
        "cannot use the idempotency key with workflow handlers. "
        "The handler invocation will already be idempotent by the workflow key itself.",
    )


def not_found() -> Refused:
    """Nothing has this path."""
    return Refused(404, "not found")


def service_not_found(service: str) -> Unregistered:
    """No registered service has this name."""
    return Unregistered(404, f"service '{service}' not found, make sure to register the service before calling it.")


def handler_not_found(service: str, handler: str) -> Unregistered:
    """The latest revision of the service has no such handler."""
    return Unregistered(
        404,
        f"the service '{service}' exists, but the handler '{handler}' was not found, "
        "check that the handler exists in the latest registered service version.",
    )


def invocation_not_found() -> Refused:
    """Output of something unknown."""
    return Refused(404, "invocation not found")


def method_not_allowed() -> Refused:
    """The route has another method."""
    return Refused(405, "method not allowed")


def body_too_large() -> Refused:
    """A body without announced length grew above the limit."""
    return Refused(413, "cannot read body: LengthLimitError")


def bad_body(reason: str) -> Refused:
    """A JSON body that names a target cannot be read."""
    return Refused(500, f"cannot read body: {reason}")


def overloaded() -> Refused:
    """Too many requests wait already."""
    return Refused(429, "too many requests, the ingress is overloaded. Retry later.", retry_after_s=1)


def not_completed() -> Refused:
    """Output of an invocation in flight."""
    return Refused(470, "the invocation exists but has not completed yet")
