"""The service protocol, versions 1 to 7, between server and deployment: sans-io, in terms of `perdure.model.journal`."""

from perdure.codec.service_protocol.codec import Codec, Decoder, Encoder, codec_for
from perdure.codec.service_protocol.decoder import AttemptDecoder
from perdure.codec.service_protocol.encoder import AttemptEncoder
from perdure.codec.service_protocol.versions import SERVER_VERSION_DEFAULT, VERSION_MAX, content_type_of, negotiate

__all__ = [
    "SERVER_VERSION_DEFAULT",
    "VERSION_MAX",
    "AttemptDecoder",
    "AttemptEncoder",
    "Codec",
    "Decoder",
    "Encoder",
    "codec_for",
    "content_type_of",
    "negotiate",
]
