"""What admin registers: deployments and the service revisions that they serve.

Durations are milliseconds; None means "not set here, the next outer level decides".
Source: shared/spec/service-protocol.md, 1.5 and 1.6; shared/spec/admin.md, section 3.
"""

import enum
from typing import Any

import msgspec

from perdure.model.target import HandlerType, ServiceType


class ProtocolMode(enum.StrEnum):
    BIDI_STREAM = "BIDI_STREAM"
    REQUEST_RESPONSE = "REQUEST_RESPONSE"


class InstanceType(enum.StrEnum):
    """How a protobuf service of the seed era is keyed. Source: shared/spec/seed-era.md, 3.2."""

    UNKEYED = "Unkeyed"
    KEYED = "Keyed"
    SINGLETON = "Singleton"


class ProtobufMethod(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the descriptor of a seed-era method says. Types are full names without a leading dot; fields are numbers of the input's."""

    input_type: str
    output_type: str
    key_field: int | None = None
    event_payload_field: int | None = None
    event_metadata_field: int | None = None


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options of a retry policy that are set at one level."""

    initial_interval_ms: int | None = None
    factor: float | None = None
    max_interval_ms: int | None = None
    max_attempts: int | None = None
    pauses_on_max_attempts: bool | None = None


class HandlerOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Options that exist at the level of the service and of the handler; the handler's win."""

    journal_retention_ms: int | None = None
    idempotency_retention_ms: int | None = None
    workflow_completion_retention_ms: int | None = None
    inactivity_timeout_ms: int | None = None
    abort_timeout_ms: int | None = None
    enable_lazy_state: bool | None = None
    ingress_private: bool | None = None
    retry_policy: RetryPolicy = RetryPolicy()
    documentation: str | None = None
    metadata: dict[str, str] = {}


class InputRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """`input` of a handler in the manifest. Absent in the manifest is None in `Handler.input`."""

    required: bool = False
    content_type: str | None = None
    json_schema: Any = None  # any JSON value: the schema is passed on, not interpreted


class OutputRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """`output` of a handler in the manifest."""

    content_type: str | None = None
    set_content_type_if_empty: bool = False
    json_schema: Any = None  # any JSON value: the schema is passed on, not interpreted


class Handler(msgspec.Struct, frozen=True, omit_defaults=True):
    """One handler of a service revision."""

    name: str
    handler_type: HandlerType
    input: InputRules | None = None
    output: OutputRules | None = None
    options: HandlerOptions = HandlerOptions()
    method: ProtobufMethod | None = None
    """Set where the service is one of the seed era."""


class Service(msgspec.Struct, frozen=True, omit_defaults=True):
    """One revision of a service: immutable but for what an operator modifies."""

    name: str
    service_type: ServiceType
    revision: int
    deployment_id: str
    handlers: dict[str, Handler]
    options: HandlerOptions = HandlerOptions()
    instance_type: InstanceType | None = None
    """Set where this is a protobuf service of the seed era; `name` is then its full name."""


class GoogleIdToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """By which identity token of Google a deployment is to recognise this server: for whom it is, and whose it is if not our own."""

    audience: str
    impersonate_service_account: str | None = None


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reachable endpoint at a unique address. `id` is `dp_1…`; `url` is absolute, without a trailing slash."""

    id: str
    url: str
    protocol_mode: ProtocolMode
    http_version: str
    """`HTTP/1.1` or `HTTP/2.0`: what discovery was answered with, reused for every attempt."""
    protocol_version_min: int
    protocol_version_max: int
    created_at_ms: int
    services: dict[str, int] = {}
    """service name -> revision that this deployment serves"""
    sdk_version: str | None = None
    """`x-restate-server` of the discovery response."""
    additional_headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    lambda_arn: str | None = None
    lambda_assume_role_arn: str | None = None
    lambda_compression: str | None = None
    descriptor_set: bytes = b""
    """Serialized `google.protobuf.FileDescriptorSet` of a seed-era deployment, whose protocol version is 0; else empty."""
    google_id_token: GoogleIdToken | None = None
