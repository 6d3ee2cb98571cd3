"""Why a registration or a change of metadata is refused. Source: shared/spec/admin.md, sections 3.2 and 4.2."""

from perdure.base.errors import PerdureError


class ReservedServiceName(PerdureError):
    """A service has a name that the server keeps for itself."""

    code, status = "META0005", 400
    hint = "Rename the service: names that begin with `restate` and the name `openapi` are taken."


class ServiceTypeChanged(PerdureError):
    """A new revision of a service is of another type than the active one."""

    code, status = "META0006", 409
    hint = "Give the service a new name, or repeat with `breaking` or `force` if no invocation or state of the old type matters."


class ReservedPackage(PerdureError):
    """A service has the name of a package that the server serves itself."""

    code, status = "META0005", 403
    hint = "Rename the service: names that begin with `dev.restate.` and `grpc.` are taken."


class MethodsRemoved(PerdureError):
    """A new revision of a protobuf service lacks methods of the active one."""

    code, status = "META0006", 409
    hint = "Keep the methods, or give the service a new name, or repeat with `force` if nobody calls the removed ones any more."


class KeyChanged(PerdureError):
    """A new revision of a protobuf service takes the key from another field."""

    code, status = "META0006", 409
    hint = "Keep the field of the key, or give the service a new name, or repeat with `force` if no call of the old form is under way."


class InvalidService(PerdureError):
    """A JSON schema of the manifest cannot be used."""

    status = 400


class UnsupportedRetention(PerdureError):
    """A workflow's retention was set on a service that is none."""

    status = 400


class NotRegistered(PerdureError):
    """A deployment or service that was to be changed does not exist."""

    status = 404


class InvalidSubscription(PerdureError):
    """The source or sink of a subscription cannot be."""

    code, status = "META0009", 400
    hint = "Name a source as `kafka://CLUSTER/TOPIC` or `nats://CLUSTER/STREAM`, and a sink as `service://SERVICE/HANDLER`."


class UnknownCluster(PerdureError):
    """The source of a subscription names a cluster that is neither registered nor configured."""

    status = 400


class InvalidCluster(PerdureError):
    """The properties of a Kafka cluster do not say where it is."""

    status = 400


class ClusterConflict(PerdureError):
    """A Kafka cluster of this name is there already, is in use, or belongs to the configuration."""

    status = 409


class ProtocolRangeChanged(PerdureError):
    """An endpoint that a deployment is to move to speaks other versions of the service protocol."""

    code, status = "META0016", 400
    hint = "Register the endpoint as a deployment of its own."


class AddressOfAnother(PerdureError):
    """Another deployment is registered at the address."""

    status = 409


class DeploymentInUse(PerdureError):
    """A deployment that is needed was to be removed without force."""

    status = 409
