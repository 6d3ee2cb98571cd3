"""The OpenAPI 3.1 document of what this API answers: written down once here, as `api.ROUTES` says what exists.

Source: shared/spec/admin.md, sections 2 to 5.
"""

from services.admin.openapi_schemas import SCHEMAS, Document


def openapi_document(version: str) -> Document:
    """Return the document; its title is what clients look for."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Admin API", "version": version, "description": "Deployments, services and invocations of a Perdure cluster."},
        "paths": _paths(),
        "components": {"schemas": SCHEMAS},
    }


def _paths() -> Document:
    return {
        "/health": {"get": _operation("health", "Tell that the server answers", {"200": "It does"})},
        "/version": {"get": _operation("version", "Tell version and features", {"200": ("Version", "VersionInformation")})},
        "/cluster-health": {"get": _operation("cluster_health", "Tell about the cluster", {"200": ("Cluster", "ClusterHealth")})},
        "/query": {
            "post": _operation(
                "query",
                "Run SQL",
                {
                    "200": ("Rows; an Arrow stream where no JSON is asked for", "QueryResult"),
                    "400": "It is no statement that reads",
                    "500": "It failed",
                },
                body="Query",
            )
        },
        "/deployments": {
            "get": _operation("list_deployments", "List deployments", {"200": ("All deployments", "Deployments")}),
            "post": _operation(
                "create_deployment",
                "Register a deployment",
                {"200": ("It was there", "Registration"), "201": ("It is new", "Registration")} | _errors("400", "409", "500"),
                body="RegisterDeployment",
            ),
        },
        "/deployments/{deployment}": _with(
            "deployment",
            get=_operation("get_deployment", "Show a deployment", {"200": ("The deployment", "Deployment")} | _errors("404")),
            delete=_operation(
                "delete_deployment",
                "Remove a deployment",
                {"202": "It is removed", "501": "Without force nothing is removed"} | _errors("404"),
                parameters=[_query("force", {"type": "boolean"}, "Has to be true.")],
            ),
        ),
        "/services": {"get": _operation("list_services", "List services", {"200": ("All services", "Services")})},
        "/services/{service}": _with(
            "service",
            get=_operation("get_service", "Show a service", {"200": ("The service", "Service")} | _errors("404")),
            patch=_operation(
                "modify_service", "Change a service", {"200": ("The service", "Service")} | _errors("400", "404"), body="ModifyService"
            ),
        ),
        "/services/{service}/openapi": _with(
            "service",
            get=_operation("get_service_openapi", "Describe how a service is called", {"200": "An OpenAPI document"} | _errors("404")),
        ),
        "/services/{service}/state": _with(
            "service",
            post=_operation(
                "modify_service_state",
                "Replace the state of a virtual object or workflow",
                {"202": "It is stored, and applied between invocations of the object"} | _errors("400", "404", "503"),
                body="ModifyServiceState",
            ),
        ),
        "/services/{service}/handlers": _with(
            "service", get=_operation("list_handlers", "List handlers", {"200": ("All handlers", "Handlers")} | _errors("404"))
        ),
        "/services/{service}/handlers/{handler}": _with(
            "service", "handler", get=_operation("get_handler", "Show a handler", {"200": ("The handler", "Handler")} | _errors("404"))
        ),
        **_invocation_paths(),
        **_subscription_paths(),
        **_cluster_paths(),
    }


def _subscription_paths() -> Document:
    shown = {"200": ("The subscription", "Subscription")} | _errors("400", "404")
    return {
        "/subscriptions": {
            "get": _operation(
                "list_subscriptions",
                "List subscriptions",
                {"200": ("All that fit", "Subscriptions")},
                parameters=[_query(name, {"type": "string"}, f"Only those with exactly this {name}.") for name in ("sink", "source")],
            ),
            "post": _operation(
                "create_subscription",
                "Create a subscription",
                {"201": ("It is new", "Subscription")} | _errors("400"),
                body="CreateSubscription",
            ),
        },
        "/subscriptions/{subscription}": _with(
            "subscription",
            get=_operation("get_subscription", "Show a subscription", shown),
            delete=_operation("delete_subscription", "Remove a subscription", {"202": "It is removed"} | _errors("400", "404")),
        ),
        "/subscriptions/{subscription}/pause": _with(
            "subscription", patch=_operation("pause_subscription", "Stop reading until it is resumed", shown)
        ),
        "/subscriptions/{subscription}/resume": _with(
            "subscription", patch=_operation("resume_subscription", "Read on where it was paused", shown)
        ),
    }


def _cluster_paths() -> Document:
    shown = {"200": ("The cluster", "KafkaCluster")}
    return {
        "/kafka-clusters": {
            "get": _operation("list_kafka_clusters", "List Kafka clusters", {"200": ("All clusters", "KafkaClusters")}),
            "post": _operation(
                "create_kafka_cluster",
                "Register a Kafka cluster",
                {"201": ("It is new", "KafkaCluster")} | _errors("400", "409"),
                body="CreateKafkaCluster",
            ),
        },
        "/kafka-clusters/{cluster}": _with(
            "cluster",
            get=_operation(
                "get_kafka_cluster",
                "Show a Kafka cluster",
                shown | _errors("404"),
                parameters=[_query("include_subscriptions", {"type": "boolean"}, "Show who reads from it.")],
            ),
            patch=_operation(
                "update_kafka_cluster",
                "Replace the properties of a Kafka cluster",
                shown | _errors("400", "404", "409"),
                body="UpdateKafkaCluster",
            ),
            delete=_operation(
                "delete_kafka_cluster",
                "Remove a Kafka cluster",
                {"202": "It is removed"} | _errors("404", "409"),
                parameters=[_query("force", {"type": "boolean"}, "Also while subscriptions read from it.")],
            ),
        ),
    }


def _invocation_paths() -> Document:
    actions = {
        "cancel": "Cancel an invocation",
        "kill": "Kill an invocation",
        "purge": "Purge a completed invocation",
        "purge-journal": "Purge the journal of a completed invocation",
        "pause": "Pause an invocation",
    }
    deployment = _query("deployment", {"type": "string"}, "`keep`, `latest` or the id of a deployment.")
    return {
        "/invocations/{invocation_id}": _with(
            "invocation_id",
            delete=_operation(
                "delete_invocation",
                "Cancel, kill or purge an invocation (deprecated)",
                {"202": "It was asked for"} | _errors("400"),
                parameters=[_query("mode", {"enum": ["cancel", "kill", "purge"]}, "What to do; `cancel` where it is left out.")],
            ),
        ),
        **{
            f"/invocations/{{invocation_id}}/{action}": _with("invocation_id", patch=_action(action, summary))
            for action, summary in actions.items()
        },
        "/invocations/{invocation_id}/resume": _with(
            "invocation_id", patch=_action("resume", "Resume a paused or suspended invocation", deployment)
        ),
        "/invocations/{invocation_id}/restart-as-new": _with(
            "invocation_id",
            patch=_operation(
                "restart_as_new_invocation",
                "Start a copy of a completed invocation",
                {"200": ("The copy", "Restarted")} | _errors("400", "404", "409"),
                parameters=[_query("from", {"type": "integer", "minimum": 0}, "Last journal entry that is kept."), deployment],
            ),
        ),
    }


def _action(action: str, summary: str, *parameters: Document) -> Document:
    responses = {"200": "Done", "202": "On its way"} | _errors("400", "404", "409", "503")
    return _operation(f"{action.replace('-', '_')}_invocation", summary, responses, parameters=list(parameters))


def _operation(
    operation_id: str,
    summary: str,
    responses: dict[str, str | tuple[str, str]],
    *,
    body: str | None = None,
    parameters: list[Document] | None = None,
) -> Document:
    """Return an operation. `responses` are status -> description, or description and schema."""
    operation: Document = {"operationId": operation_id, "summary": summary}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _content(body)}
    operation["responses"] = {
        status: {"description": response} if isinstance(response, str) else {"description": response[0], "content": _content(response[1])}
        for status, response in responses.items()
    }
    return operation


def _errors(*statuses: str) -> dict[str, str | tuple[str, str]]:
    return dict.fromkeys(statuses, ("Refused, and why", "Error"))


def _content(schema: str) -> Document:
    return {"application/json": {"schema": _ref(schema)}}


def _ref(schema: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema}"}


def _with(*path_parameters: str, **operation_by_method: Document) -> Document:
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in path_parameters]
    return {"parameters": parameters, **operation_by_method}


def _query(name: str, schema: Document, description: str) -> Document:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
