"""Which process has which settings."""

from typing import Final

from perdure.process.config import CommonConfig, PublicConfig
from services.admin.config import AdminConfig
from services.ingress.config import IngressConfig
from services.invoker.config import InvokerConfig
from services.nodectl.config import NodectlConfig
from services.sql.config import SqlConfig

CONFIGS: Final[dict[str, type[CommonConfig]]] = {
    **{"ingress": IngressConfig, "admin": AdminConfig, "sql": SqlConfig, "nodectl": NodectlConfig, "invoker": InvokerConfig}
}
PORTS: Final = {role: kind().port for role, kind in CONFIGS.items() if issubclass(kind, PublicConfig)}
