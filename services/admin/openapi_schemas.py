"""Schemas of the bodies that the API takes and gives. Source: shared/spec/admin.md, sections 1.2, 1.3, 3, 4 and 6."""

from typing import Any, Final

from services.admin.kafka_clusters import NAME_BEGINNING

Document = dict[str, Any]  # Any: a JSON value

_TEXT: Final[Document] = {"type": "string"}
_NUMBER: Final[Document] = {"type": "integer"}
_FLAG: Final[Document] = {"type": "boolean"}
_TEXTS: Final[Document] = {"type": "object", "additionalProperties": _TEXT}
_DURATION: Final[Document] = {"type": "string", "examples": ["1d 12h", "90s", "PT36H"]}
_ANY: Final[Document] = {}


def _object(*required: str, **properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(item: Document) -> Document:
    return {"type": "array", "items": item}


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _optional(schema: Document) -> Document:
    return {"anyOf": [schema, {"type": "null"}]}


_INFO: Final = _list(_object("message", code=_TEXT, message=_TEXT))
_NOTES: Final = _list(_object("message", code=_optional(_TEXT), message=_TEXT))
_RETRY_POLICY: Final = _object(
    "max_attempts",
    initial_interval=_DURATION,
    exponentiation_factor={"type": "number"},
    max_interval=_DURATION,
    max_attempts=_optional(_NUMBER),
    on_max_attempts={"enum": ["Pause", "Kill"]},
)
_AUTH: Final = _object("GoogleIdToken", GoogleIdToken=_object(audience=_optional(_TEXT), impersonate_service_account=_optional(_TEXT)))
_HTTP: Final[dict[str, Document]] = {
    "uri": _TEXT,
    "protocol_type": {"enum": ["BidiStream", "RequestResponse"]},
    "http_version": {"enum": ["HTTP/1.1", "HTTP/2.0"]},
    "auth": _AUTH,
}
_LAMBDA: Final[dict[str, Document]] = {"arn": _TEXT, "assume_role_arn": _TEXT, "compression": {"enum": ["Zstd"]}}
_DEPLOYMENT: Final[dict[str, Document]] = {
    "id": _TEXT,
    "additional_headers": _TEXTS,
    "metadata": _TEXTS,
    "created_at": {"type": "string", "format": "date-time"},
    "min_protocol_version": _NUMBER,
    "max_protocol_version": _NUMBER,
    "sdk_version": _TEXT,
    "info": _INFO,
}
_HEADERS: Final = _TEXTS | {"propertyNames": {"pattern": "^[A-Za-z0-9-]+$"}}
_ARN: Final[Document] = {"type": "string", "examples": ["arn:aws:lambda:eu-central-1:123456789012:function:orders:1"]}
_REGISTRATION: Final[dict[str, Document]] = {
    "additional_headers": _optional(_HEADERS),
    "metadata": _TEXTS,
    "breaking": _FLAG,
    "force": _optional(_FLAG),
    "dry_run": _FLAG,
}
_SUBSCRIPTION: Final[dict[str, Document]] = {"id": _TEXT, "source": _TEXT, "sink": _TEXT, "options": _TEXTS, "info": _NOTES}
_SERVICE_REVISION: Final = _object("name", "revision", name=_TEXT, revision=_NUMBER)


def _deployment(services: Document) -> Document:
    """Return a deployment in its two forms, each with what always comes with it."""
    always = ("id", "created_at", "min_protocol_version", "max_protocol_version", "services")
    http = _object("uri", "protocol_type", "http_version", *always, **_HTTP, **_DEPLOYMENT, services=services)
    return {"anyOf": [http, _object("arn", *always, **_LAMBDA, **_DEPLOYMENT, services=services)]}


SCHEMAS: Final[Document] = {
    "Error": _object("message", "restate_code", message=_TEXT, restate_code=_optional(_TEXT)),
    "VersionInformation": _object(
        "version",
        "min_admin_api_version",
        "max_admin_api_version",
        "features",
        version=_TEXT,
        min_admin_api_version=_NUMBER,
        max_admin_api_version=_NUMBER,
        ingress_endpoint=_optional(_TEXT),
        features={"type": "object", "additionalProperties": _FLAG},
    ),
    "ClusterHealth": _object(
        "cluster_name", cluster_name=_TEXT, metadata_cluster_health=_optional(_object("members", members=_list(_NUMBER)))
    ),
    "Query": _object("query", query=_TEXT),
    "QueryResult": _object("rows", rows=_list({"type": "object"})),
    "QueryError": _object("message", message=_TEXT),
    "RegisterDeployment": {"anyOf": [_ref("RegisterHttpDeployment"), _ref("RegisterLambdaDeployment")]},
    "RegisterHttpDeployment": _object(
        "uri", uri={"type": "string", "format": "uri"}, use_http_11=_FLAG, auth=_optional(_AUTH), **_REGISTRATION
    ),
    "RegisterLambdaDeployment": _object("arn", arn=_ARN, assume_role_arn=_optional(_TEXT), **_REGISTRATION),
    "UpdateDeployment": _object(
        uri=_optional({"type": "string", "format": "uri"}),
        use_http_11=_optional(_FLAG),
        arn=_optional(_ARN),
        assume_role_arn=_optional(_TEXT),
        additional_headers=_optional(_HEADERS),
        overwrite=_FLAG,
        dry_run=_FLAG,
    ),
    "DeploymentUsage": _object(
        "drained",
        "active_services",
        "invocations",
        drained=_FLAG,
        active_services=_list(_TEXT),
        invocations={"type": "object", "additionalProperties": _NUMBER},
    ),
    "Registration": _object(
        "id",
        "services",
        "min_protocol_version",
        "max_protocol_version",
        id=_TEXT,
        services=_list(_ref("Service")),
        min_protocol_version=_NUMBER,
        max_protocol_version=_NUMBER,
        sdk_version=_TEXT,
        info=_INFO,
    ),
    "Deployments": _object("deployments", deployments=_list(_deployment(_list(_SERVICE_REVISION)))),
    "Deployment": _deployment(_list(_ref("Service"))),
    "Services": _object("services", services=_list(_ref("Service"))),
    "Service": _object(
        "name",
        "ty",
        "handlers",
        "deployment_id",
        "revision",
        "public",
        name=_TEXT,
        ty={"enum": ["Service", "VirtualObject", "Workflow"]},
        handlers=_list(_ref("Handler")),
        documentation=_TEXT,
        metadata=_TEXTS,
        deployment_id=_TEXT,
        revision=_NUMBER,
        public=_FLAG,
        idempotency_retention=_DURATION,
        workflow_completion_retention=_DURATION,
        journal_retention=_DURATION,
        inactivity_timeout=_DURATION,
        abort_timeout=_DURATION,
        enable_lazy_state=_FLAG,
        retry_policy=_RETRY_POLICY,
        instance_type={"enum": ["Keyed", "Unkeyed", "Singleton"]},
        methods=_list(_ref("Method")),
        info=_INFO,
    ),
    "ModifyService": _object(
        public=_optional(_FLAG),
        idempotency_retention=_optional(_DURATION),
        workflow_completion_retention=_optional(_DURATION),
        journal_retention=_optional(_DURATION),
        inactivity_timeout=_optional(_DURATION),
        abort_timeout=_optional(_DURATION),
        retry_policy=_optional(
            _object(
                initial_interval=_optional(_DURATION),
                exponentiation_factor=_optional({"type": "number", "minimum": 1}),
                max_interval=_optional(_DURATION),
                max_attempts=_optional({"type": "integer", "minimum": 1, "maximum": 4_294_967_295}),
                on_max_attempts=_optional({"enum": ["Pause", "Kill"]}),
            )
        ),
    ),
    "ModifyServiceState": _object(
        "object_key",
        "new_state",
        object_key=_TEXT,
        version=_optional(_TEXT),
        new_state={"type": "object", "additionalProperties": {"oneOf": [_TEXT, _list({"type": "integer", "minimum": 0, "maximum": 255})]}},
    ),
    "Methods": _object("methods", methods=_list(_ref("Method"))),
    "Method": _object("name", "input_type", "output_type", name=_TEXT, input_type=_TEXT, output_type=_TEXT, key_field_number=_NUMBER),
    "Handlers": _object("handlers", handlers=_list(_ref("Handler"))),
    "Handler": _object(
        "name",
        "public",
        "input_description",
        "output_description",
        "retry_policy",
        name=_TEXT,
        ty={"enum": ["Exclusive", "Shared", "Workflow"]},
        documentation=_TEXT,
        metadata=_TEXTS,
        public=_FLAG,
        input_description=_TEXT,
        output_description=_TEXT,
        input_json_schema=_ANY,
        output_json_schema=_ANY,
        idempotency_retention=_DURATION,
        journal_retention=_DURATION,
        inactivity_timeout=_DURATION,
        abort_timeout=_DURATION,
        enable_lazy_state=_FLAG,
        retry_policy=_RETRY_POLICY,
        info=_INFO,
    ),
    "OpenApi": {"type": "object"},
    "Restarted": _object("new_invocation_id", new_invocation_id=_TEXT),
    "CreateSubscription": _object("source", "sink", source=_TEXT, sink=_TEXT, options=_optional(_TEXTS)),
    "Subscription": _object("id", "source", "sink", "options", **_SUBSCRIPTION),
    "Subscriptions": _object("subscriptions", subscriptions=_list(_ref("Subscription"))),
    "CreateKafkaCluster": _object("name", "properties", name={"type": "string", "pattern": NAME_BEGINNING + "$"}, properties=_TEXTS),
    "UpdateKafkaCluster": _object("properties", properties=_TEXTS),
    "KafkaCluster": _object(
        "name",
        "properties",
        "created_at",
        name=_TEXT,
        properties=_TEXTS,
        created_at={"type": "string", "format": "date-time"},
        subscriptions=_list(_ref("Subscription")),
        info=_NOTES,
    ),
    "KafkaClusters": _object("clusters", clusters=_list(_ref("KafkaCluster"))),
}
