"""The error family: each has a code, an HTTP status, a sentence with the values at hand, and a hint.

Codes have a page each in `docs/errors/`. Source of codes: shared/spec/service-protocol.md, 6.5; shared/spec/admin.md.
"""

from typing import ClassVar


class PerdureError(Exception):
    """Base of every error that a user can meet.

    Attributes:
        code: A documented code such as `RT0012` or `META0003`; None where no page exists.
        status: The HTTP status where the error reaches an HTTP client.
        hint: What to do now, one sentence; empty where the message says it all.
    """

    code: ClassVar[str | None] = None
    status: ClassVar[int] = 500
    hint: ClassVar[str] = ""

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else (self.__doc__ or "").strip()


class RemoteProtocolError(PerdureError):
    """A peer sent something that its protocol does not allow."""

    code = "RT0012"


class LocalProtocolError(PerdureError):
    """Our own code used a protocol object against its rules; always a defect."""


class ConfigurationError(PerdureError):
    """A setting has a wrong name or value."""


class StoreError(PerdureError):
    """The store refused or failed a transaction for good."""


class CommitUnknown(StoreError):
    """A transaction was given up whose commit may have happened: what was to be written is there wholly or not at all."""

    hint = "Look whether it is there before you repeat what is not idempotent"


class DiskFull(StoreError):
    """There is no space left where the embedded store keeps its file."""

    hint = "Free some space: what was accepted is there, and work goes on by itself"


class LeaseLost(StoreError):
    """Another owner holds the partition: the epoch in the store moved on, so nothing of the batch was written."""


class StoreFormatError(StoreError):
    """The store was written by a server whose format this one does not read."""
