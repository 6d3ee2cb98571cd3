"""The service protocol, versions 5 to 7, between server and deployment: sans-io, in terms of `perdure.model.journal`."""

from perdure.codec.service_protocol.decoder import AttemptDecoder
from perdure.codec.service_protocol.encoder import AttemptEncoder
from perdure.codec.service_protocol.versions import content_type_of, negotiate

__all__ = ["AttemptDecoder", "AttemptEncoder", "content_type_of", "negotiate"]
