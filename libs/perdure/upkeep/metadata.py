"""Rules of what is outside the partitions: the format, what admin registered, and bodies on their way."""

from typing import Final

import msgspec

from perdure.model.deployment import Deployment, Service
from perdure.registry.schema import Schema, read_schema
from perdure.store.format import FORMAT_VERSION
from perdure.store.interface import ReadTransaction
from perdure.store.keyspace import Keyspace, range_of, unpack
from perdure.store.placements import read_placements
from perdure.upkeep.findings import Damage, Finding

_FIRST_PARTS: Final = {"meta", "cluster", "blob", "position", "p"}


def check_metadata(tr: ReadTransaction, keyspace: Keyspace) -> list[Finding]:
    """Return what is wrong with the metadata of a store that `prepare` has seen."""
    findings = [_unknown(key) for key in _strangers(tr, keyspace)]
    version = tr.get(keyspace.format_version)
    if version != b"%d" % FORMAT_VERSION:
        findings.append(Finding(Damage.UNREADABLE, "cluster/format", f"it is {version!r}, and this server reads {FORMAT_VERSION}"))
    findings += _check_placements(tr, keyspace)
    try:
        schema = read_schema(tr, keyspace)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        return [*findings, Finding(Damage.UNREADABLE, "meta", f"what is registered cannot be read: {error}")]
    return [*findings, *_check_registrations(schema)]


def _check_placements(tr: ReadTransaction, keyspace: Keyspace) -> list[Finding]:
    partitions = int(tr.get(keyspace.partition_count) or b"0")
    return [
        Finding(Damage.UNKNOWN_KEY, f"cluster/placement/{number}", f"there are {partitions} partitions, and the first is 0")
        for number in read_placements(tr, keyspace)
        if number >= partitions
    ]


def _check_registrations(schema: Schema) -> list[Finding]:
    findings = [finding for deployment in schema.deployments.values() for finding in _check_deployment(schema, deployment)]
    for revisions in schema.revisions.values():
        findings += [finding for service in revisions.values() for finding in _check_service(schema, service)]
    return findings


def _check_deployment(schema: Schema, deployment: Deployment) -> list[Finding]:
    return [
        Finding(Damage.REGISTRY_BROKEN, f"meta/deployment/{deployment.id}", f"it serves revision {revision} of {name}, which is not there")
        for name, revision in deployment.services.items()
        if revision not in schema.revisions.get(name, {})
    ]


def _check_service(schema: Schema, service: Service) -> list[Finding]:
    deployment = schema.deployments.get(service.deployment_id)
    if deployment is not None and deployment.services.get(service.name) == service.revision:
        return []
    place = f"meta/service/{service.name}/{service.revision}"
    return [Finding(Damage.REGISTRY_BROKEN, place, f"deployment {service.deployment_id} does not serve it")]


def _strangers(tr: ReadTransaction, keyspace: Keyspace) -> list[bytes]:
    """Return the first keys that lie between the known kinds."""
    begin, end = range_of(keyspace.root)
    known = sorted(range_of(keyspace.root + _packed(part)) for part in _FIRST_PARTS)
    gaps = zip([begin, *(past for _, past in known)], [*(first for first, _ in known), end], strict=True)
    return [key for first, past in gaps for key, _ in tr.get_range(first, past, limit=1)]


def _packed(part: str) -> bytes:
    return b"\x02" + part.encode() + b"\x00"


def _unknown(key: bytes) -> Finding:
    place = "/".join(str(part) for part in unpack(key)[1:])
    return Finding(Damage.UNKNOWN_KEY, place, "no kind of row has such a key")
