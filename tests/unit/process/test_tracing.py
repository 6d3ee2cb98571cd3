"""Where spans are sent, as the settings say."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from perdure.base.errors import ConfigurationError
from perdure.base.trace import TraceContext
from perdure.process.config import CommonConfig
from perdure.process.otlp import OtlpExporter
from perdure.process.tracing import Span, open_exporter


def an_exporter(endpoint: str, protocol: str = "grpc") -> OtlpExporter:
    return OtlpExporter(endpoint=endpoint, protocol=protocol, headers={}, role="invoker", process_id="invoker-1")


def test_without_an_endpoint_there_is_no_exporter_and_no_opentelemetry() -> None:
    assert open_exporter(CommonConfig(), role="invoker", process_id="invoker-1") is None
    program = (
        "import sys; from perdure.process.config import CommonConfig; from perdure.process.tracing import open_exporter; "
        "open_exporter(CommonConfig(), role='invoker', process_id='1'); print('opentelemetry' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"


@pytest.mark.parametrize(
    "endpoint", ["collector", "collector:4317", "ftp://collector:4317", "http://collector", "http://:4317", "http://a:b"]
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="tracing_endpoint"):
        an_exporter(endpoint)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_that_is_not_there_keeps_no_process_from_ending(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.process.otlp.CLOSING_S_MAX", 0.05)
    exporter: Any = an_exporter("http://127.0.0.1:9", protocol)
    exporter.add(Span("name", TraceContext(1, 2, is_sampled=True, state="vendor=1"), 0, 0, 1, {}))
    asyncio.run(exporter.close())
