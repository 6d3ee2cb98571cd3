"""`GET /metrics`: asks the processes for their metrics, and adds what this one knows of the suite."""

import asyncio
from collections.abc import Mapping

from perdure.bus.messages import MetricsSnapshot, decoder_of
from perdure.process.runtime import Runtime
from services.nodectl import metrics
from services.nodectl.cluster import Cluster
from services.nodectl.config import NodectlConfig
from services.nodectl.refusal import Refused
from services.nodectl.suite_metrics import text_of_suite


class Scrape:
    """Gathers metrics from living processes; one that does not answer in time is left out."""

    def __init__(self, runtime: Runtime[NodectlConfig], cluster: Cluster) -> None:
        self._runtime = runtime
        self._cluster = cluster
        self._decoder = decoder_of(MetricsSnapshot)

    async def text(self, parameters: Mapping[str, str]) -> bytes:
        """Return the metrics of the whole suite, or of the processes that have the `role` and `process` given.

        Raises:
            Refused: There is no such process, or it did not answer.
        """
        role, process = parameters.get("role"), parameters.get("process")
        if role is None and process is None:
            snapshots, view = await asyncio.gather(self._snapshots(), self._cluster.view())
            return metrics.merge(snapshots) + text_of_suite(view, self._runtime.config.required_roles)
        chosen = [each for each in await self._snapshots() if role in (None, each.role) and process in (None, each.process_id)]
        if not chosen:
            raise Refused(404, "no such process has handed in its metrics; `perdure status` lists those that are alive")
        return metrics.merge(chosen)

    async def _snapshots(self) -> list[MetricsSnapshot]:
        runtime = self._runtime
        replies = await runtime.bus.gather(
            runtime.subjects.metrics,
            b"",
            timeout_s=runtime.config.metrics_timeout / 1_000,
            replies_max=max(1, len(runtime.peers.alive())),
        )
        return sorted(map(self._decoder.decode, replies), key=lambda each: (each.role, each.process_id))
