"""`restate.metadata_proxy_svc.MetadataProxySvc`: documents by key, read-only. Source: shared/spec/nodectl.md, section 3.3."""

from typing import Final

from perdure.codec.rpc.status import CallFailed, Status
from services.nodectl.cluster import Cluster
from services.nodectl.rpc import documents
from services.nodectl.rpc.method import Methods, unary
from services.nodectl.rpc.proto import common_pb2 as common
from services.nodectl.rpc.proto import metadata_proxy_pb2 as proxy

NAME: Final = "restate.metadata_proxy_svc.MetadataProxySvc"
_ELSEWHERE: Final = {
    "schema_registry": "`GET /deployments` and `GET /services` of the admin API tell what is registered",
    "rule_book": "there are no rules of this kind",
}


def metadata_methods(cluster: Cluster) -> Methods:
    """Return what the service answers."""
    service = MetadataProxy(cluster)
    return {f"/{NAME}/Get": unary(proxy.GetRequest, service.get), f"/{NAME}/GetVersion": unary(proxy.GetRequest, service.version)}


class MetadataProxy:
    """Answers with documents that are made when somebody asks."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def get(self, request: proxy.GetRequest, base_url: str) -> proxy.GetResponse:
        """Return a document; nothing where there is none.

        Raises:
            CallFailed: UNIMPLEMENTED, the suite keeps it in another form.
        """
        if request.key in _ELSEWHERE:
            raise CallFailed(Status.UNIMPLEMENTED, f"{request.key} is not kept in this form; {_ELSEWHERE[request.key]}")
        document = documents.by_key(await self._cluster.view(base_url), request.key)
        if document is None:
            return proxy.GetResponse()
        version = common.Version(value=document["version"])
        return proxy.GetResponse(value=proxy.VersionedValue(version=version, bytes=documents.encoded(document)))

    async def version(self, request: proxy.GetRequest, base_url: str) -> proxy.GetVersionResponse:
        """Return the version of a document; nothing where there is none."""
        document = documents.by_key(await self._cluster.view(base_url), request.key)
        return proxy.GetVersionResponse(version=None if document is None else common.Version(value=document["version"]))
