"""How metadata looks in responses. Source: shared/spec/admin.md, sections 3.3, 4.1 and 6."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from perdure.base.durations import format_duration_ms
from perdure.model.deployment import (
    Deployment,
    Handler,
    HandlerOptions,
    InputRules,
    InstanceType,
    OutputRules,
    ProtobufMethod,
    ProtocolMode,
    RetryPolicy,
    Service,
)
from perdure.model.subscription import KafkaCluster, Subscription
from perdure.model.target import HandlerType, ServiceType
from perdure.registry.options import ServerDefaults
from perdure.registry.registrations import Registration
from perdure.registry.retry import EffectiveRetryPolicy, decided, merge_retry_policies

View = dict[str, Any]  # Any: a JSON value

_SERVICE_TYPES: Final = {ServiceType.SERVICE: "Service", ServiceType.VIRTUAL_OBJECT: "VirtualObject", ServiceType.WORKFLOW: "Workflow"}
_HANDLER_TYPES: Final = {HandlerType.EXCLUSIVE: "Exclusive", HandlerType.SHARED: "Shared", HandlerType.WORKFLOW: "Workflow"}
_PROTOCOL_TYPES: Final = {ProtocolMode.BIDI_STREAM: "BidiStream", ProtocolMode.REQUEST_RESPONSE: "RequestResponse"}
_SECRET: Final = re.compile(r"password|passphrase|secret|username|key\.pem|key\.location|keystore\.location|jaas|token|oauthbearer\.config")


def registration_view(registration: Registration, defaults: ServerDefaults, *, is_dry_run: bool) -> View:
    """Return the answer to a registration."""
    deployment = registration.deployment
    return _without_none(
        {
            "id": deployment.id,
            "services": [service_view(service, deployment, defaults) for service in registration.services],
            "min_protocol_version": deployment.protocol_version_min,
            "max_protocol_version": deployment.protocol_version_max,
            "sdk_version": deployment.sdk_version,
            "info": _overwritten(registration, is_dry_run=is_dry_run),
        }
    )


def _overwritten(registration: Registration, *, is_dry_run: bool) -> list[View] | None:
    """Tell what force has overwritten, or would."""
    replaced = registration.replaced
    if replaced is None:
        return None
    now = registration.deployment.services
    overwritten, gone = ("would be overwritten", "would be gone") if is_dry_run else ("was overwritten", "is gone")
    lines = [
        f"'{name}' revision {revision} {overwritten} by revision {now[name]}"
        if name in now
        else f"'{name}' revision {revision} {gone}, as the deployment serves it no more"
        for name, revision in sorted(replaced.services.items())
    ]
    return [{"message": line} for line in lines] or None


def deployment_list_view(deployment: Deployment) -> View:
    """Return a deployment as lists show it: its services by name and revision."""
    services = [{"name": name, "revision": revision} for name, revision in deployment.services.items()]
    return _deployment_view(deployment) | {"services": services}


def deployment_detail_view(deployment: Deployment, services: Iterable[Service], defaults: ServerDefaults) -> View:
    """Return a deployment with its services in full: the revisions that it serves."""
    return _deployment_view(deployment) | {"services": [service_view(service, deployment, defaults) for service in services]}


def _deployment_view(deployment: Deployment) -> View:
    if deployment.lambda_arn is None:
        address: View = {
            "uri": _shown_uri(deployment.url),
            "protocol_type": _PROTOCOL_TYPES[deployment.protocol_mode],
            "http_version": deployment.http_version,
            "auth": deployment.google_id_token and {"GoogleIdToken": _without_none(msgspec.structs.asdict(deployment.google_id_token))},
        }
    else:
        address = {
            "arn": deployment.lambda_arn,
            "assume_role_arn": deployment.lambda_assume_role_arn,
            "compression": deployment.lambda_compression and deployment.lambda_compression.capitalize(),
        }
    return _without_none(
        {
            "id": deployment.id,
            **address,
            "additional_headers": deployment.additional_headers or None,
            "metadata": deployment.metadata or None,
            "created_at": format_instant(deployment.created_at_ms),
            "min_protocol_version": deployment.protocol_version_min,
            "max_protocol_version": deployment.protocol_version_max,
            "sdk_version": deployment.sdk_version,
        }
    )


def _shown_uri(url: str) -> str:
    """Return the address with a path: at least a slash."""
    _, _, rest = url.partition("://")
    return url if "/" in rest or "?" in rest else f"{url}/"


def format_instant(at_ms: int) -> str:
    """Return an instant as RFC 3339 with nine digits of fraction."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}000000Z"


def service_view(service: Service, deployment: Deployment | None, defaults: ServerDefaults) -> View:
    """Return a revision of a service with every option decided."""
    options = service.options
    is_request_response = deployment is not None and deployment.protocol_mode is ProtocolMode.REQUEST_RESPONSE
    inactivity_ms = 0 if is_request_response else decided(None, options.inactivity_timeout_ms, defaults.inactivity_timeout_ms)
    return _without_none(
        {
            "name": service.name,
            "ty": _SERVICE_TYPES[service.service_type],
            "handlers": [handler_view(service, handler, deployment) for handler in service.handlers.values()],
            "documentation": options.documentation,
            "metadata": options.metadata or None,
            "deployment_id": service.deployment_id,
            "revision": service.revision,
            "public": not options.ingress_private,
            "idempotency_retention": _retention(
                options.idempotency_retention_ms, defaults.idempotency_retention_ms, defaults.idempotency_retention_ms_max
            ),
            "workflow_completion_retention": _workflow_retention(service, defaults),
            "journal_retention": _retention(options.journal_retention_ms, defaults.journal_retention_ms, defaults.journal_retention_ms_max),
            "inactivity_timeout": format_duration_ms(inactivity_ms),
            "abort_timeout": format_duration_ms(decided(None, options.abort_timeout_ms, defaults.abort_timeout_ms)),
            "enable_lazy_state": bool(options.enable_lazy_state),
            "retry_policy": _decided_retry_view(
                merge_retry_policies(RetryPolicy(), options.retry_policy, defaults.retry_policy, attempts_cap=defaults.retry_attempts_max)
            ),
            "info": _info(options, is_request_response, "service"),
        }
        | ({} if service.instance_type is None else seed_keys(service))
    )


def seed_keys(service: Service) -> View:
    """Return what clients of the seed era read of a service; of one of today what comes nearest."""
    instance_type = service.instance_type or (InstanceType.KEYED if service.service_type.is_keyed else InstanceType.UNKEYED)
    return {"instance_type": instance_type.value, "methods": [method_view(handler) for handler in service.handlers.values()]}


def method_view(handler: Handler) -> View:
    """Return a handler as a method of the seed era. Source: shared/spec/seed-era.md, section 5.2."""
    method = handler.method or ProtobufMethod("", "")
    key_field = method.key_field
    view = {"name": handler.name, "input_type": method.input_type, "output_type": method.output_type, "key_field_number": key_field}
    return _without_none(view)


def _workflow_retention(service: Service, defaults: ServerDefaults) -> str | None:
    """Return how long runs of a workflow are kept; what the run handler says counts before what an operator set."""
    if service.service_type is not ServiceType.WORKFLOW:
        return None
    runs = [handler for handler in service.handlers.values() if handler.handler_type is HandlerType.WORKFLOW]
    own = runs[0].options.workflow_completion_retention_ms if runs else None
    outer = decided(own, service.options.workflow_completion_retention_ms, defaults.workflow_completion_retention_ms)
    return _retention(outer, 0, defaults.workflow_completion_retention_ms_max)


def _retention(value_ms: int | None, default_ms: int, cap_ms: int | None) -> str:
    value = default_ms if value_ms is None else value_ms
    return format_duration_ms(value if cap_ms is None else min(value, cap_ms))


def handler_view(service: Service, handler: Handler, deployment: Deployment | None) -> View:
    """Return a handler with the options that it sets itself."""
    options = handler.options
    is_request_response = deployment is not None and deployment.protocol_mode is ProtocolMode.REQUEST_RESPONSE
    view = _without_none(
        {
            "name": handler.name,
            "ty": _HANDLER_TYPES.get(handler.handler_type),
            "documentation": options.documentation,
            "metadata": options.metadata or None,
            "idempotency_retention": _duration(options.idempotency_retention_ms),
            "journal_retention": _duration(options.journal_retention_ms),
            "inactivity_timeout": None if is_request_response else _duration(options.inactivity_timeout_ms),
            "abort_timeout": _duration(options.abort_timeout_ms),
            "enable_lazy_state": options.enable_lazy_state,
            "public": not (service.options.ingress_private or options.ingress_private),
            "input_description": _input_description(handler.input),
            "output_description": _output_description(handler.output),
            "info": _info(options, is_request_response, "handler"),
        }
    )
    if handler.input is not None and handler.input.content_type is not None and handler.input.json_schema is not None:
        view["input_json_schema"] = handler.input.json_schema
    if handler.output is not None and handler.output.content_type is not None and handler.output.json_schema is not None:
        view["output_json_schema"] = handler.output.json_schema
    return view | {"retry_policy": _own_retry_view(options.retry_policy)}


def _info(options: HandlerOptions, is_request_response: bool, what: str) -> list[View] | None:
    if not is_request_response or options.inactivity_timeout_ms is None:
        return None
    timeout = format_duration_ms(options.inactivity_timeout_ms)
    message = f"The inactivity_timeout {timeout} has no effect, because the {what} is served in request/response mode."
    return [{"code": "RT0021", "message": message}]


def _input_description(rules: InputRules | None) -> str:
    if rules is None:
        return "*/*"
    if rules.content_type is None:
        return "<invalid rules>" if rules.required else "none"
    return _description(rules.content_type, rules.json_schema)


def _output_description(rules: OutputRules | None) -> str:
    if rules is None:
        return "application/json"
    if rules.content_type is None:
        return "none"
    described = _description(rules.content_type, rules.json_schema)
    return f"optional {described}" if rules.set_content_type_if_empty and rules.json_schema is None else described


def _description(content_type: str, schema: Any) -> str:  # Any: a JSON schema
    """Return what a schema calls itself, else the type that it has, else the content type."""
    if isinstance(schema, dict):
        members = cast("dict[str, object]", schema)
        if isinstance(members.get("title"), str):
            return f"JSON '{members['title']}'"
        if isinstance(members.get("type"), str):
            return f"JSON {members['type']}"
    return content_type


def _decided_retry_view(policy: EffectiveRetryPolicy) -> View:
    return {
        "initial_interval": format_duration_ms(policy.initial_interval_ms),
        "exponentiation_factor": float(policy.factor),
        "max_attempts": policy.max_attempts,
        "max_interval": format_duration_ms(policy.max_interval_ms),
        "on_max_attempts": "Pause" if policy.pauses_on_max_attempts else "Kill",
    }


def _own_retry_view(policy: RetryPolicy) -> View:
    """Return the options that a handler sets; `max_attempts` is there in any case, null where it is inherited."""
    pauses = policy.pauses_on_max_attempts
    view = _without_none(
        {
            "initial_interval": _duration(policy.initial_interval_ms),
            "exponentiation_factor": None if policy.factor is None else float(policy.factor),
            "max_interval": _duration(policy.max_interval_ms),
            "on_max_attempts": None if pauses is None else "Pause" if pauses else "Kill",
        }
    )
    return view | {"max_attempts": policy.max_attempts if policy.max_attempts is None else max(1, policy.max_attempts)}


def subscription_view(subscription: Subscription, failure: str | None) -> View:
    """Return a subscription; `failure` is why an invoker cannot read it just now."""
    notes = ["It is paused."] if subscription.is_paused else [] if failure is None else [failure]
    return _without_none(
        {
            "id": subscription.id,
            "source": subscription.source,
            "sink": subscription.sink,
            "options": _without_secrets(subscription.options),
            "info": [{"message": note} for note in notes] or None,
        }
    )


def kafka_cluster_view(cluster: KafkaCluster) -> View:
    """Return a Kafka cluster without its secrets."""
    return {"name": cluster.name, "properties": _without_secrets(cluster.properties), "created_at": format_instant(cluster.created_at_ms)}


def _without_secrets(properties: dict[str, str]) -> dict[str, str]:
    return {name: "***" if _SECRET.search(name) else value for name, value in properties.items()}


def _duration(value_ms: int | None) -> str | None:
    return None if value_ms is None else format_duration_ms(value_ms)


def _without_none(view: View) -> View:
    return {name: value for name, value in view.items() if value is not None}
