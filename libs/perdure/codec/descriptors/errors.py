"""What can be wrong with descriptors and with messages that they describe."""

from perdure.base.errors import PerdureError


class BadDescriptors(PerdureError):
    """A descriptor set cannot be used: it is malformed, incomplete, or contradicts itself."""

    status = 400


class UnknownSymbol(PerdureError):
    """The descriptors do not define a name."""

    status = 404


class BadMessage(PerdureError):
    """Bytes or JSON do not fit the message type."""

    status = 400
