"""The OpenAPI 3.1 document of what this API answers: written down once here, as `api.ROUTES` says what exists.

Source: shared/spec/admin.md, sections 2 to 5.
"""

from services.admin.openapi_parts import Answer, binary_operation, item, json_content, operation, query
from services.admin.openapi_schemas import SCHEMAS, Document


def openapi_document(version: str) -> Document:
    """Return the document; its title is what clients look for."""
    paths = (_meta_paths, _deployment_paths, _service_paths, _invocation_paths, _subscription_paths, _cluster_paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Admin API", "version": version, "description": "Deployments, services and invocations of a Perdure cluster."},
        "paths": {path: what for part in paths for path, what in part().items()},
        "components": {"schemas": SCHEMAS},
    }


def _meta_paths() -> Document:
    return {
        "/health": item(get=operation("health", "Tell that the server answers", {"200": "It does"})),
        "/version": item(get=operation("version", "Tell version and features", {"200": ("Version", "VersionInformation")})),
        "/cluster-health": item(get=operation("cluster_health", "Tell about the cluster", {"200": ("Cluster", "ClusterHealth")})),
        "/query": item(post=_query_operation()),
    }


def _query_operation() -> Document:
    rows = ("Rows; an Arrow stream where no JSON is asked for", "QueryResult")
    run = operation("query", "Run SQL", {"200": rows}, errors=("500", "503"), body="Query")
    run["responses"]["200"]["content"]["application/vnd.apache.arrow.stream"] = {}
    for status in ("400", "500", "503"):
        run["responses"][status]["content"] |= json_content("QueryError")
    return run


def _deployment_paths() -> Document:
    force = query("force", {"type": "boolean"}, "Whether to remove one that something still holds.")
    return {
        "/deployments": item(
            get=operation("list_deployments", "List deployments", {"200": ("All deployments", "Deployments")}),
            post=operation(
                "create_deployment",
                "Register a deployment",
                {"200": ("It was there", "Registration"), "201": ("It is new", "Registration")},
                errors=("409", "500"),
                body="RegisterDeployment",
            ),
        ),
        "/deployments/{deployment}": item(
            "deployment",
            get=operation("get_deployment", "Show a deployment", {"200": ("The deployment", "Deployment")}, errors=("400", "404")),
            patch=operation(
                "update_deployment",
                "Change address, headers or services of a deployment",
                {"200": ("The deployment", "Deployment")},
                errors=("404", "409", "500"),
                body="UpdateDeployment",
            ),
            delete=operation(
                "delete_deployment",
                "Remove a deployment",
                {"202": "It is removed"},
                errors=("400", "404", "409", "503"),
                parameters=[force],
            ),
        ),
        "/deployments/{deployment}/usage": item(
            "deployment",
            get=operation(
                "get_deployment_usage",
                "Tell what holds a deployment",
                {"200": ("What holds it", "DeploymentUsage")},
                errors=("400", "404", "503"),
            ),
        ),
        "/deployments/{deployment}/descriptors": item(
            "deployment",
            get=binary_operation("get_deployment_descriptors", "Give the descriptors of protobuf services", errors=("400", "404")),
        ),
    }


def _service_paths() -> Document:
    shown: dict[str, Answer] = {"200": ("The service", "Service")}
    return {
        "/services": item(get=operation("list_services", "List services", {"200": ("All services", "Services")})),
        "/services/{service}": item(
            "service",
            get=operation("get_service", "Show a service", shown, errors=("404",)),
            patch=operation(
                "modify_service", "Change a service", {"200": ("The service", "Service")}, errors=("404",), body="ModifyService"
            ),
        ),
        "/services/{service}/openapi": item(
            "service",
            get=operation(
                "get_service_openapi", "Describe how a service is called", {"200": ("An OpenAPI document", "OpenApi")}, errors=("404",)
            ),
        ),
        "/services/{service}/state": item(
            "service",
            post=operation(
                "modify_service_state",
                "Replace the state of a virtual object or workflow",
                {"202": "It is stored, and applied between invocations of the object"},
                errors=("404", "503"),
                body="ModifyServiceState",
            ),
        ),
        "/services/{service}/methods": item(
            "service", get=operation("list_methods", "List the methods of a protobuf service", {"200": ("All", "Methods")}, errors=("404",))
        ),
        "/services/{service}/methods/{method}": item(
            "service", "method", get=operation("get_method", "Show a method", {"200": ("The method", "Method")}, errors=("404",))
        ),
        "/services/{service}/descriptors": item(
            "service", get=binary_operation("get_service_descriptors", "Give the files that define a protobuf service", errors=("404",))
        ),
        "/services/{service}/handlers": item(
            "service", get=operation("list_service_handlers", "List handlers", {"200": ("All handlers", "Handlers")}, errors=("404",))
        ),
        "/services/{service}/handlers/{handler}": item(
            "service",
            "handler",
            get=operation("get_service_handler", "Show a handler", {"200": ("The handler", "Handler")}, errors=("404",)),
        ),
    }


def _invocation_paths() -> Document:
    mode = query("mode", {"enum": ["cancel", "kill", "purge"]}, "What to do; `cancel` where it is left out.")
    deployment = query("deployment", {"type": "string"}, "`keep`, `latest` or the id of a deployment.")
    first = query("from", {"type": "integer", "minimum": 0, "maximum": 4_294_967_295}, "Last journal entry that is kept.")
    delete = operation(
        "delete_invocation",
        "Cancel, kill or purge an invocation (deprecated)",
        {"202": "It was asked for"},
        errors=("400", "503"),
        parameters=[mode],
    )
    restart = operation(
        "restart_as_new_invocation",
        "Start a copy of a completed invocation",
        {"200": ("The copy", "Restarted")},
        errors=("400", "404", "409", "410", "422", "425", "503"),
        parameters=[first, deployment],
    )
    paths = {
        "": item("invocation_id", delete=delete),
        "/cancel": _action("cancel_invocation", "Cancel an invocation", accepts=True),
        "/kill": _action("kill_invocation", "Kill an invocation"),
        "/purge": _action("purge_invocation", "Purge a completed invocation"),
        "/purge-journal": _action("purge_journal", "Purge the journal of a completed invocation"),
        "/pause": _action("pause_invocation", "Pause an invocation", accepts=True),
        "/resume": _action("resume_invocation", "Resume a paused or suspended invocation", deployment, errors=("425",)),
        "/restart-as-new": item("invocation_id", patch=restart),
    }
    return {f"/invocations/{{invocation_id}}{suffix}": path for suffix, path in paths.items()}


def _action(operation_id: str, summary: str, *parameters: Document, accepts: bool = False, errors: tuple[str, ...] = ()) -> Document:
    responses = {"200": "Done"} | ({"202": "On its way"} if accepts else {})
    refusals = ("400", "404", "409", "503", *errors)
    return item("invocation_id", patch=operation(operation_id, summary, dict(responses), errors=refusals, parameters=list(parameters)))


def _subscription_paths() -> Document:
    shown: dict[str, Answer] = {"200": ("The subscription", "Subscription")}
    filters = [query(name, {"type": "string"}, f"Only those with exactly this {name}.") for name in ("sink", "source")]
    return {
        "/subscriptions": item(
            get=operation("list_subscriptions", "List subscriptions", {"200": ("All that fit", "Subscriptions")}, parameters=filters),
            post=operation(
                "create_subscription", "Create a subscription", {"201": ("It is new", "Subscription")}, body="CreateSubscription"
            ),
        ),
        "/subscriptions/{subscription}": item(
            "subscription",
            get=operation("get_subscription", "Show a subscription", shown, errors=("400", "404")),
            delete=operation("delete_subscription", "Remove a subscription", {"202": "It is removed"}, errors=("400", "404")),
        ),
        "/subscriptions/{subscription}/pause": item(
            "subscription", patch=operation("pause_subscription", "Stop reading until it is resumed", shown, errors=("400", "404"))
        ),
        "/subscriptions/{subscription}/resume": item(
            "subscription", patch=operation("resume_subscription", "Read on where it was paused", shown, errors=("400", "404"))
        ),
    }


def _cluster_paths() -> Document:
    shown: dict[str, Answer] = {"200": ("The cluster", "KafkaCluster")}
    included = query("include_subscriptions", {"type": "boolean"}, "Show who reads from it.")
    force = query("force", {"type": "boolean"}, "Remove it although subscriptions use it.")
    return {
        "/kafka-clusters": item(
            get=operation("list_kafka_clusters", "List Kafka clusters", {"200": ("All clusters", "KafkaClusters")}),
            post=operation(
                "create_kafka_cluster",
                "Register a Kafka cluster",
                {"201": ("It is new", "KafkaCluster")},
                errors=("409",),
                body="CreateKafkaCluster",
            ),
        ),
        "/kafka-clusters/{cluster_name}": item(
            "cluster_name",
            get=operation("get_kafka_cluster", "Show a Kafka cluster", shown, errors=("400", "404"), parameters=[included]),
            patch=operation(
                "update_kafka_cluster", "Replace the properties of a Kafka cluster", shown, errors=("404", "409"), body="UpdateKafkaCluster"
            ),
            delete=operation(
                "delete_kafka_cluster",
                "Remove a Kafka cluster",
                {"202": "It is removed"},
                errors=("400", "404", "409"),
                parameters=[force],
            ),
        ),
    }
