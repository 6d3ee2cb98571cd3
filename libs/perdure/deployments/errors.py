"""Why a deployment cannot be registered by discovery. Source: shared/spec/service-protocol.md, 1.2 and 1.3; shared/spec/admin.md."""

from perdure.base.errors import PerdureError


class DiscoveryError(PerdureError):
    """Discovery of a deployment failed. Itself it stands for a manifest that cannot be read, which has no code."""

    hint = "Look at the manifest that the endpoint answers GET /discover with."


class ServiceUnusable(DiscoveryError):
    """The manifest can be read, but asks for a service or handler that cannot be."""

    status = 400
    hint = "Change the definition of the service that the message names, and register again."


class DeploymentUnreachable(DiscoveryError):
    """The endpoint did not answer, or not with success."""

    code = "META0003"
    hint = "Check that the endpoint runs, that this server can reach the address, and that the path is the one it is mounted at."


class ProtocolVersionsUnsupported(DiscoveryError):
    """The service protocol versions of the endpoint and of this server do not overlap."""

    code = "META0012"
    hint = "Use an SDK release that speaks service protocol 1 to 7."


class BadDiscoveryResponse(DiscoveryError):
    """The endpoint answered, but not as an SDK does."""

    code = "META0013"
    hint = "Check that an SDK serves this address, and that no proxy changes its answers."


class Http11Only(DiscoveryError):
    """The endpoint seems to speak HTTP/1.1 only, and HTTP/2 was tried."""

    code = "META0014"
    hint = "Register the deployment with use_http_11 (--use-http1.1 on the command line)."


class BidirectionalUnsupported(DiscoveryError):
    """The endpoint wants bidirectional streams over a transport that has none."""

    code = "META0015"
    hint = "Let the endpoint announce REQUEST_RESPONSE, or serve it over HTTP/2."


class ServiceDefinitionUnusable(ServiceUnusable):
    """A protobuf service has no type, no methods, or a name that cannot be used."""

    code = "META0001"
    hint = "Give the service the option dev.restate.ext.service_type and at least one method, and register again."


class KeyUnusable(ServiceUnusable):
    """A method of a keyed protobuf service has no key that can be read."""

    code = "META0002"
    hint = "Annotate one string field of the method's request with dev.restate.ext.field = KEY, and register again."


class AnnotationRepeated(ServiceUnusable):
    """Two fields of one message claim to be the same thing."""

    code = "META0007"
    hint = "Leave the annotation at one of the fields, and register again."


class EventFieldUnusable(ServiceUnusable):
    """A field for events is of a type that cannot take them."""

    code = "META0008"
    hint = "Let the payload be string or bytes and the metadata map<string, string>, and register again."
