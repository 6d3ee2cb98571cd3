"""Configuration of a process: one frozen struct; flags over environment over file over default.

Each field is a flag `--key-name`, a variable `PERDURE_<KEY>` (own keys of a service: `PERDURE_<SECTION>__<KEY>`) and a key of the TOML
file (own keys of a service: in the table `[section]`). Unknown names and wrong values are refused with a message that names them.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from msgspec import Meta

from perdure.base.durations import DurationMs, SizeBytes
from perdure.base.errors import ConfigurationError
from perdure.base.limits import PARTITIONS_DEFAULT
from perdure.base.urls import without_users
from perdure.process import notify
from perdure.process.settings import Setting, settings_of
from perdure.store.fdb.options import FdbOptions, FdbTls

__all__ = [
    "SECTIONS",
    "CommonConfig",
    "DurationMs",
    "PublicConfig",
    "Secret",
    "SizeBytes",
    "fdb_options",
    "load",
    "masked",
    "masked_changes",
    "read",
]

C = TypeVar("C", bound="CommonConfig")

Secret = Annotated[str, Meta(extra={"is_secret": True})]
"""A text that is masked wherever configuration is shown, and can also be given as `<key>_file`."""

Clusters = dict[str, dict[str, str]]
"""Name -> property -> value: tables in the file, JSON elsewhere. Shown by name only, as properties may be secrets."""

SECTIONS: Final = frozenset({"ingress", "admin", "sql", "nodectl", "invoker", "up"})
"""Tables of the one file; a process reads its own and leaves the others alone."""

_PREFIX: Final = "PERDURE_"
_NOT_SETTINGS: Final = ("PERDURE_DIE_WITH_PARENT", "PERDURE_TEST_", "PERDURE_PROGRAM", "PERDURE_KILL_SEED")
"""Beginnings of variables that are not settings: the supervisor's, and those of the tests, which processes under test inherit."""


class CommonConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every process needs to know. Retentions, timeouts and retries count where neither handler nor service says anything."""

    config: Annotated[str, Meta(description="TOML file with settings")] = ""
    base_dir: Annotated[str, Meta(description="directory for everything that is kept on disk")] = "./target"
    nats_url: Annotated[str, Meta(description="NATS servers, separated by commas; tls:// for TLS")] = "nats://127.0.0.1:4222"
    nats_user: Annotated[str, Meta(description="user at NATS")] = ""
    nats_password: Annotated[Secret, Meta(description="password at NATS")] = ""
    nats_credentials_file: Annotated[str, Meta(description="NATS .creds file")] = ""
    nats_tls_ca_file: Annotated[str, Meta(description="certificates that NATS' certificate is checked against; empty: the system's")] = ""
    nats_tls_cert_file: Annotated[str, Meta(description="our certificate for NATS")] = ""
    nats_tls_key_file: Annotated[str, Meta(description="key of our certificate for NATS")] = ""
    root: Annotated[str, Meta(description="first part of all subjects and keys, one per suite", pattern=r"^[A-Za-z0-9_-]+$")] = "perdure"
    fdb_cluster_file: Annotated[str, Meta(description="FoundationDB cluster file; empty: the embedded store in base-dir")] = ""
    fdb_transaction_timeout: Annotated[
        DurationMs, Meta(description="how long a transaction may wait for FoundationDB before it fails; 0: as long as it takes")
    ] = 0
    fdb_trace_dir: Annotated[str, Meta(description="directory for the traces of FoundationDB's client; empty: none are written")] = ""
    fdb_tls_ca_file: Annotated[str, Meta(description="certificates that those of FoundationDB's servers are checked against")] = ""
    fdb_tls_cert_file: Annotated[str, Meta(description="our certificate for FoundationDB, with its chain")] = ""
    fdb_tls_key_file: Annotated[str, Meta(description="key of our certificate for FoundationDB")] = ""
    fdb_tls_key_password: Annotated[Secret, Meta(description="password of that key")] = ""
    fdb_tls_verify_peers: Annotated[
        str, Meta(description="what is checked of FoundationDB's certificates, as `Check.Valid=1,S.CN=fdb`; empty: that they are valid")
    ] = ""
    partitions: Annotated[int, Meta(description="partitions of a new store; fixed afterwards", ge=1, le=4096)] = PARTITIONS_DEFAULT
    log_level: Annotated[str, Meta(description="debug, info, warning or error", pattern="^(debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, Meta(description="auto (console on a terminal), json or console", pattern="^(auto|json|console)$")] = "auto"
    auth_token: Annotated[
        Secret,
        Meta(description="bearer token that the admin API wants, and the node port for what changes something; empty: none"),
    ] = ""
    metrics_address: Annotated[
        str, Meta(description="where this process serves its own metrics, host:port, beside those of all on the node port; empty: nowhere")
    ] = ""
    access_log: Annotated[bool, Meta(description="log every request to the ingress and to the admin API")] = False
    tracing_endpoint: Annotated[
        str, Meta(description="where spans are sent by OTLP, http://host:port or https://host:port; empty: nowhere")
    ] = ""
    tracing_protocol: Annotated[str, Meta(description="how: grpc or http", pattern="^(grpc|http)$")] = "grpc"
    tracing_headers: Annotated[dict[str, str], Meta(description="headers that every message with spans carries")] = {}
    tracing_sample_ratio: Annotated[
        float, Meta(ge=0.0, le=1.0, description="which part of the calls without a trace is traced; the others as their callers say")
    ] = 1.0
    journal_retention: Annotated[DurationMs, Meta(description="how long the journal of a completed invocation is kept")] = 86_400_000
    idempotency_retention: Annotated[DurationMs, Meta(description="how long the result of an idempotent call is kept")] = 86_400_000
    workflow_retention: Annotated[DurationMs, Meta(description="how long the result of a workflow's run is kept")] = 86_400_000
    inactivity_timeout: Annotated[DurationMs, Meta(description="silence after which a handler is asked to suspend")] = 60_000
    abort_timeout: Annotated[DurationMs, Meta(description="silence after that request that ends the attempt")] = 600_000
    retry_initial_interval: Annotated[DurationMs, Meta(description="delay before the first retry")] = 500
    retry_factor: Annotated[float, Meta(ge=1.0, description="factor by which the delay grows")] = 2.0
    retry_max_interval: Annotated[DurationMs, Meta(description="longest delay between retries")] = 60_000
    retry_max_attempts: Annotated[int, Meta(ge=0, description="attempts, the first included; 0 is unlimited")] = 70
    retry_pauses: Annotated[bool, Meta(description="pause when the attempts are used up; false: end with the last error")] = True
    request_identity_private_key_pem_file: Annotated[
        str, Meta(description="PEM file with the Ed25519 key that signs all requests to deployments; empty: they are not signed")
    ] = ""
    request_identity_expiration: Annotated[
        DurationMs, Meta(description="how long before and after it was made a signed token counts; at least a second")
    ] = 60_000
    additional_request_headers: Annotated[
        dict[str, str], Meta(description="headers that every request to a deployment carries, over those of its registration")
    ] = {}
    deployment_ca_file: Annotated[
        str, Meta(description="PEM file with certificates that those of deployments are checked against; empty: the system's")
    ] = ""
    assume_role_external_id: Annotated[
        str, Meta(description="external id shown when a role is assumed to call a Lambda function; empty: that of AWS_EXTERNAL_ID")
    ] = ""
    request_compression_threshold: Annotated[
        SizeBytes, Meta(description="size from which requests are compressed for Lambda functions that can read that")
    ] = 4 * 1024 * 1024
    shutdown_grace: Annotated[DurationMs, Meta(description="how long work in flight may take when stopping")] = 5_000
    kafka_clusters: Annotated[Clusters, Meta(description="Kafka clusters by name, each with its librdkafka properties")] = {}
    nats_clusters: Annotated[
        Clusters, Meta(description="NATS clusters with JetStream by name, each with url and user, password, credentials_file")
    ] = {}


class PublicConfig(CommonConfig, frozen=True, kw_only=True):
    """What a process with a port for clients needs to know; each has its own values."""

    tls_cert_file: Annotated[str, Meta(description="PEM file with the certificate for TLS, read again when it changes; empty: no TLS")] = ""
    tls_key_file: Annotated[str, Meta(description="PEM file with the key of that certificate")] = ""
    tls_client_ca_file: Annotated[
        str, Meta(description="PEM file with authorities, one of which must have signed a client's certificate; empty: clients need none")
    ] = ""


def load(kind: type[C], argv: Sequence[str], *, section: str, environ: Mapping[str, str] | None = None) -> C:
    """Return the configuration, or end the process: `--help` with 0, an unknown name or wrong value with 2 and one line."""
    try:
        return read(kind, argv, section=section, environ=os.environ if environ is None else environ)
    except ConfigurationError as error:
        print(f"{section}: {error.message}", file=sys.stderr)
        notify.notify_failed(error.message)
        raise SystemExit(2) from None


def read(kind: type[C], argv: Sequence[str], *, section: str, environ: Mapping[str, str]) -> C:
    """Return the configuration from flags, environment, file and defaults.

    Raises:
        ConfigurationError: An unknown name or a wrong value, named in the message.
        SystemExit: After `--help`.
    """
    common = {field.name for field in msgspec.structs.fields(CommonConfig)}
    settings = settings_of(kind, common, section)
    by_name = {setting.name: setting for setting in settings}
    flags = _from_flags(settings, argv, section)
    variables = _from_environment(settings, environ, section)
    path = flags.get("config") or variables.get("config") or ""
    document = _from_file(by_name, path, section) if path else {}
    values = {**document, **variables, **flags}
    for setting in settings:
        if setting.secret_of is not None and setting.name in values:
            values.setdefault(setting.secret_of, _read_secret(setting, cast("str", values.pop(setting.name))))
    return kind(**values)


def masked(config: CommonConfig) -> dict[str, object]:
    """Return the settings for a log line, secrets hidden, passwords within URLs as well."""
    settings = settings_of(type(config), set(), "")
    hidden = {setting.secret_of for setting in settings} | {setting.name for setting in settings if setting.is_mapping}
    return {
        name: _masked(value) if name in hidden and value else without_users(value) if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(config).items()
    }


def masked_changes(config: CommonConfig) -> dict[str, object]:
    """Return the settings that are not at their defaults, masked: what somebody decided about this process."""
    usual = type(config)()
    return {name: value for name, value in masked(config).items() if getattr(config, name) != getattr(usual, name)}


def fdb_options(config: CommonConfig, *, tag: str, is_background: bool = False) -> FdbOptions:
    """Return how a process uses FoundationDB; `tag` is its role."""
    tls = FdbTls(
        certificate_file=config.fdb_tls_cert_file,
        key_file=config.fdb_tls_key_file,
        key_password=config.fdb_tls_key_password,
        ca_file=config.fdb_tls_ca_file,
        verify_peers=config.fdb_tls_verify_peers,
    )
    return FdbOptions(
        tag=tag, is_background=is_background, timeout_ms=config.fdb_transaction_timeout, trace_dir=config.fdb_trace_dir, tls=tls
    )


def _masked(value: object) -> object:
    """Return a secret as stars, a table as the names in it."""
    return sorted(cast("dict[str, object]", value)) if isinstance(value, dict) else "***"


def _from_flags(settings: list[Setting], argv: Sequence[str], section: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{section}",
        usage=f"python -m services.{section} [--SETTING VALUE ...]",
        allow_abbrev=False,
        exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Flags win over environment variables, those over the file, that over defaults.",
    )
    groups = {own: parser.add_argument_group(f"settings of {'this process' if own else 'all processes'}") for own in (True, False)}
    for setting in settings:
        groups[bool(setting.section)].add_argument(
            setting.flag, dest=setting.name, metavar=setting.metavar, help=setting.help, default=None, **setting.flag_options
        )
    try:
        parsed, unknown = parser.parse_known_args(list(argv))
    except argparse.ArgumentError as error:
        raise ConfigurationError(str(error)) from None
    if unknown:
        raise ConfigurationError(f"unknown argument {unknown[0]}; --help lists all")
    return {
        setting.name: setting.parse(getattr(parsed, setting.name), setting.flag)
        for setting in settings
        if getattr(parsed, setting.name) is not None
    }


def _from_environment(settings: list[Setting], environ: Mapping[str, str], section: str) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in settings}
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX) or variable.startswith(_NOT_SETTINGS):
            continue
        setting = by_variable.get(variable)
        if setting is not None:
            values[setting.name] = setting.parse(text, variable)
            continue
        first, separator, _ = variable.removeprefix(_PREFIX).partition("__")
        if not separator or first.lower() not in SECTIONS - {section}:
            raise ConfigurationError(f"unknown environment variable {variable}; {_where_listed(section)}")
    return values


def _from_file(by_name: dict[str, Setting], path: str, section: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigurationError(f"configuration file {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"configuration file {path}: {error}") from None
    values: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict) and key in SECTIONS:
            if key == section:
                for own, own_value in cast("dict[str, object]", value).items():
                    values[own] = _file_value(by_name, own, own_value, section, path, section)
        else:
            values[key] = _file_value(by_name, key, cast("object", value), "", path, section)
    return values


def _file_value(by_name: dict[str, Setting], key: str, value: object, table: str, path: str, section: str) -> object:
    setting = by_name.get(key)
    where = f"{table}.{key}" if table else key
    if setting is not None and table and not setting.section:
        raise ConfigurationError(f"{key} in {path} is a key of all processes: write it at the top, not in [{table}]")
    if setting is not None and not table and setting.section:
        raise ConfigurationError(f"{key} in {path} is a key of one process: write it in its table, [{setting.section}]")
    if setting is None or key == "config":
        raise ConfigurationError(f"unknown key {where} in {path}; {_where_listed(section)}")
    return setting.convert(value, f"{where} in {path}")


def _where_listed(section: str) -> str:
    return "docs/reference/configuration.md lists all" if section == "up" else "--help lists all"


def _read_secret(setting: Setting, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{setting.name} {path}: {error.strerror}") from None
