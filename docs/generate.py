"""Write the reference pages that follow from the code: `make docs`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from docs.sql_page import sql_page
from perdure.cli.up import UpConfig
from perdure.process.config import CommonConfig
from perdure.process.settings import Setting, settings_of
from services.admin.config import AdminConfig
from services.admin.context import SERVER_VERSION
from services.admin.openapi import openapi_document
from services.ingress.config import IngressConfig
from services.invoker.config import InvokerConfig
from services.nodectl.config import NodectlConfig
from services.sql.config import SqlConfig

REFERENCE: Final = Path(__file__).resolve().parent / "reference"

SECTIONS: Final[dict[str, tuple[type[CommonConfig], str]]] = {
    "ingress": (IngressConfig, "The process that takes calls."),
    "admin": (AdminConfig, "The process that registers deployments and carries out what operators want."),
    "sql": (SqlConfig, "The process that answers PostgreSQL clients."),
    "nodectl": (NodectlConfig, "The process that says how all the others do."),
    "invoker": (InvokerConfig, "The process that owns partitions and runs invocations."),
    "up": (UpConfig, "The command `perdure up`, which starts the others and hands everything else on to them."),
}

HEAD: Final = """\
# Configuration

Written by `make docs` from the code; change the code instead.

One TOML file serves all processes: keys at the top are for all of them, and each process has a table of its own. A variable wins over
the file, a flag over both. A flag is the key with dashes: `--log-level debug` for `log_level`. Durations are written like `30s` or
`1h 30m`, sizes like `4MiB`, lists with commas (in the file: as lists). Unknown names and wrong values are refused at start.
"""

ADMIN_HEAD: Final = """\
# Admin API

Written by `make docs` from the description that `GET /openapi` gives; change the code instead.

Every path of the admin process (port 9070), with and without a version before it (`/v2`, `/v3`, `/v4`). *Known* says where clients know
it from: restate-server 1.7 (`1.7`), the releases of spring 2024 (`0.8`), or this server alone (`own`). `GET /openapi` itself and
`/internal/…`, which pages and the command line ask for, are not described.

| path | method | does | known | answers | refusals |
|---|---|---|---|---|---|
"""
_KNOWN: Final = {
    **dict.fromkeys(("get_deployment_usage", "pause_subscription", "resume_subscription"), "own"),
    **dict.fromkeys(("list_methods", "get_method", "get_service_descriptors", "get_deployment_descriptors"), "0.8"),
}


def admin_page() -> str:
    """Return the page with every path of the admin API."""
    return ADMIN_HEAD + "".join(f"{line}\n" for line in _admin_rows())


def _admin_rows() -> Iterator[str]:
    for path, operations in openapi_document(SERVER_VERSION)["paths"].items():
        for method, described in operations.items():
            if method == "parameters":
                continue
            statuses = sorted(described["responses"])
            good, bad = [", ".join(each for each in statuses if (each < "400") is is_good) for is_good in (True, False)]
            known = _KNOWN.get(described["operationId"], "1.7")
            yield f"| `{path}` | {method.upper()} | {described['summary']} | {known} | {good} | {bad} |"


def configuration_page() -> str:
    """Return the page with every setting."""
    common = {field.name for field in msgspec.structs.fields(CommonConfig)}
    shared = settings_of(CommonConfig, common, "")
    lines = [HEAD, "## All processes", "", *_table(shared)]
    for section, (kind, purpose) in SECTIONS.items():
        own = [setting for setting in settings_of(kind, common, section) if setting.section]
        lines += ["", f"## `[{section}]`", "", purpose, "", *_table(own)]
    helps = {setting.help for setting in shared}
    differing = [setting for setting in settings_of(UpConfig, common, "up") if not setting.section and setting.help not in helps]
    lines += ["", "What `perdure up` reads differently from the others:", "", *_table(differing)]
    return "\n".join(lines) + "\n"


def _table(settings: list[Setting]) -> Iterator[str]:
    yield "| key | variable | default | meaning |"
    yield "|---|---|---|---|"
    for setting in settings:
        meaning, _, rest = setting.help.replace("%%", "%").rpartition(" [")
        default = rest.removesuffix("]").partition(", default ")[2]
        shown = "" if default == "empty" else f"`{default}`"
        yield f"| `{setting.name}` | `{setting.variable}` | {shown} | {meaning} |"


def main() -> None:
    """Write all generated pages."""
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "configuration.md").write_text(configuration_page())
    (REFERENCE / "sql.md").write_text(sql_page())
    (REFERENCE / "admin-api.md").write_text(admin_page())


if __name__ == "__main__":
    main()
