"""All services that can be called, at one version of the metadata: built-in ones, those of the seed era, and those of today."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import structlog
from google.protobuf.message import Message

from perdure.codec.descriptors.errors import BadDescriptors
from perdure.codec.descriptors.files import ServedFiles
from perdure.codec.descriptors.pool import Descriptors
from perdure.codec.rpc.unary import Headers
from perdure.model.deployment import Deployment, Service
from perdure.registry.schema import Schema
from services.ingress.directory import Directory, ServiceEntry
from services.ingress.rpc.calls import Calls, Request
from services.ingress.rpc.methods import SeedMethod, TodayMethod
from services.ingress.rpc.today import TodayService, has_no_side_effects, rpc_name

log = structlog.get_logger("perdure.ingress.rpc")


class Method(Protocol):
    """What can be called."""

    has_no_side_effects: bool
    is_public: bool

    @property
    def request_class(self) -> type[Message]: ...

    @property
    def response_class(self) -> type[Message]: ...

    async def call(self, message: bytes, request: Request) -> tuple[bytes, Headers]:
        """Return the response message and metadata."""
        ...


class RpcService(Protocol):
    """A service with its methods and the files that describe it."""

    name: str
    is_public: bool

    def method(self, name: str) -> Method | None:
        """Return a method."""
        ...

    @property
    def files(self) -> ServedFiles: ...


class RegisteredMethod:
    """A handler that owners are asked for."""

    def __init__(self, handler: TodayMethod | SeedMethod, calls: Calls) -> None:
        self.handler = handler
        self.has_no_side_effects = handler.has_no_side_effects
        self.is_public = handler.entry.is_public
        self._calls = calls

    @property
    def request_class(self) -> type[Message]:
        return self.handler.request_class

    @property
    def response_class(self) -> type[Message]:
        return self.handler.response_class

    async def call(self, message: bytes, request: Request) -> tuple[bytes, Headers]:
        """Invoke the handler and wait for its result."""
        return await self._calls.call(self.handler, message, request)


class RegisteredService:
    """A registered service; its methods are made when they are first called."""

    def __init__(self, name: str, service: Service, entry: ServiceEntry, source: TodayService | Descriptors, calls: Calls) -> None:
        self.name = name
        self.service = service
        self.entry = entry
        if isinstance(source, TodayService):
            self.files = ServedFiles(source.descriptors)
        else:
            self.files = ServedFiles(source, prefix=f"{service.deployment_id}/")
        self.is_public = service.options.ingress_private is not True
        self._source = source
        self._calls = calls
        self._methods: dict[str, RegisteredMethod] = {}

    def method(self, name: str) -> RegisteredMethod | None:
        """Return a method."""
        known = self._methods.get(name)
        if known is None and name in self.service.handlers:
            known = self._methods[name] = RegisteredMethod(self._made(name), self._calls)
        return known

    def _made(self, name: str) -> TodayMethod | SeedMethod:
        handler, entry = self.service.handlers[name], self.entry.handlers[name.encode()]
        if isinstance(self._source, TodayService):
            return TodayMethod(entry, self._source.bodies(name), has_no_side_effects=has_no_side_effects(handler))
        assert handler.method is not None
        assert self.service.instance_type is not None
        descriptor = self._source.service(self.service.name).methods[name]
        return SeedMethod(entry, self.service.instance_type, handler.method, descriptor, self._source)


class Catalogue:
    """Finds services by their names.

    Args:
        built_in: By name; they take part in every version.
        previous: Whose work is kept where the metadata has not changed.
    """

    def __init__(
        self, schema: Schema, directory: Directory, built_in: Mapping[str, RpcService], calls: Calls, previous: "Catalogue | None" = None
    ) -> None:
        self.schema = schema
        self.directory = directory
        self._built_in = built_in
        self._calls = calls
        self._previous_services = {} if previous is None else previous._services
        self._services: dict[str, RegisteredService] = {}
        kept: dict[str, tuple[Deployment, Descriptors]] = {} if previous is None else previous._descriptors
        self._descriptors = {name: known for name, known in kept.items() if name in schema.deployments}
        self._name_by_rpc_name = {rpc: name for name in sorted(schema.services, reverse=True) if (rpc := rpc_name(name)) is not None}

    def find(self, name: str) -> RpcService | None:
        """Return a service by its name in protobuf; private ones too."""
        found = self._built_in.get(name) or self._services.get(name)
        return found or self._registered(name)

    def listed(self) -> Iterator[str]:
        """Yield the names of all public services."""
        yield from sorted(service.name for service in self._built_in.values() if service.is_public)
        for rpc, name in sorted(self._name_by_rpc_name.items()):
            if self.schema.services[name].options.ingress_private is not True:
                yield rpc

    def public(self) -> Iterator[RpcService]:
        """Yield all public services that can be described, those registered last first."""
        yield from (service for service in self._built_in.values() if service.is_public)
        for name in sorted(self._name_by_rpc_name, key=self._created_at_ms, reverse=True):
            found = self.find(name)
            if found is not None and found.is_public:
                yield found

    def _created_at_ms(self, rpc: str) -> int:
        deployment = self.schema.deployment_of(self._name_by_rpc_name[rpc])
        return 0 if deployment is None else deployment.created_at_ms

    def _registered(self, rpc: str) -> RegisteredService | None:
        name = self._name_by_rpc_name.get(rpc, rpc)  # a router of the seed era may have a name that protobuf does not allow
        service = self.schema.services.get(name)
        if service is None:
            return None
        is_seed = service.instance_type is not None
        entry = (self.directory.protobuf if is_seed else self.directory.services).get(name.encode())
        if entry is None or (not is_seed and rpc_name(name) != rpc):
            return None
        previous = self._previous_services.get(rpc)
        if previous is not None and previous.service == service and previous.entry == entry and self._is_same_deployment(service):
            made = previous
        else:
            try:
                made = self._seed(rpc, service, entry) if is_seed else self._today(rpc, service, entry)
            except BadDescriptors as error:
                log.warning("service_not_describable", service=name, reason=error.message)
                return None
        self._services[rpc] = made
        return made

    def _is_same_deployment(self, service: Service) -> bool:
        known = self._descriptors.get(service.deployment_id)
        return known is None or known[0].descriptor_set == self.schema.deployments[service.deployment_id].descriptor_set

    def _today(self, rpc: str, service: Service, entry: ServiceEntry) -> RegisteredService:
        return RegisteredService(rpc, service, entry, TodayService(service), self._calls)

    def _seed(self, rpc: str, service: Service, entry: ServiceEntry) -> RegisteredService:
        deployment = self.schema.deployments[service.deployment_id]
        known = self._descriptors.get(deployment.id)
        if known is None or known[0].descriptor_set != deployment.descriptor_set:
            known = self._descriptors[deployment.id] = (deployment, Descriptors(deployment.descriptor_set))
        return RegisteredService(rpc, service, entry, known[1], self._calls)
