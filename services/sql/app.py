"""Wiring of the sql process."""

import asyncio

from structlog.typing import FilteringBoundLogger

from perdure.base.errors import ConfigurationError
from perdure.process.certificate import ServerCertificate, certificate_of
from perdure.process.listening import BACKLOG, address_of, listen
from perdure.process.runtime import HeartbeatFacts, Runtime
from perdure.process.traffic import Traffic
from perdure.query.live import LiveSource
from perdure.query.remote import RemoteQueries
from perdure.query.workers import QueryWorkers, opening_of
from services.sql.config import SqlConfig
from services.sql.login import accounts_of
from services.sql.metrics import SqlMetrics
from services.sql.portal import ResultLimits
from services.sql.server import SqlServer
from services.sql.session import SessionLimits


async def serve(runtime: Runtime[SqlConfig]) -> None:
    """Serve until the process is to stop."""
    config = runtime.config
    live = LiveSource(runtime.bus, runtime.subjects, runtime.peers)
    workers = QueryWorkers(opening_of(config, memory_bytes_max=config.query_memory_limit), ask_live=live.ask)
    limits = SessionLimits(config.query_timeout, ResultLimits(config.result_rows_limit, config.result_size_limit))
    server = SqlServer(
        RemoteQueries(workers),
        connections_max=config.connections_max,
        limits=limits,
        accounts=accounts_of(config.user, config.password, runtime.random),
        certificate=_certificate_of(config, runtime.log),
        is_tls_required=config.tls_required,
        random=runtime.random,
        log=runtime.log,
        traffic=Traffic(runtime.metrics),
        metrics=SqlMetrics(runtime.metrics),
    )
    accepting = listen(config.bind, config.port)
    listener = await asyncio.start_server(server.accept, sock=accepting, backlog=BACKLOG)
    address = address_of(accepting)
    runtime.heartbeat_source = lambda: HeartbeatFacts(counters={"sessions": float(server.session_count)}, address=address)
    runtime.log.info("listening", address=address)
    runtime.set_ready(True)
    async with listener:
        await runtime.draining.wait()
        server.begin_drain()
        await runtime.stopping.wait()
        listener.close()
        await server.drain()
    await workers.close()


def _certificate_of(config: SqlConfig, log: FilteringBoundLogger) -> ServerCertificate | None:
    certificate = certificate_of(config, log)
    if config.tls_required and certificate is None:
        raise ConfigurationError("tls_required needs tls_cert_file and tls_key_file")
    return certificate
