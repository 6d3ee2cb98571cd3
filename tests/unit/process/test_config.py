from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta

from perdure.base.errors import ConfigurationError
from perdure.process.config import CommonConfig, DurationMs, Secret, SizeBytes, load, masked, masked_changes, read


class ExampleConfig(CommonConfig, frozen=True, kw_only=True):
    port: Annotated[int, Meta(description="port to listen on", ge=0, le=65535)] = 8080
    body_limit: Annotated[SizeBytes, Meta(description="largest body")] = 4 * 1024 * 1024
    patience: Annotated[DurationMs, Meta(description="how long to wait")] = 90_000
    is_strict: Annotated[bool, Meta(description="refuse more")] = False
    ratio: Annotated[float, Meta(description="100% is 1.0")] = 0.5
    roles: Annotated[tuple[str, ...], Meta(description="names")] = ("a", "b")
    token: Annotated[Secret, Meta(description="token of someone")] = ""


def a_config(*argv: str, file: Path | None = None, **environ: str) -> ExampleConfig:
    flags = [*argv, *(["--config", str(file)] if file else [])]
    return read(ExampleConfig, flags, section="ingress", environ=environ)


def a_file(directory: Path, text: str) -> Path:
    path = directory / "perdure.toml"
    path.write_text(text)
    return path


def test_defaults_hold_where_nothing_is_said() -> None:
    config = a_config()
    assert (config.port, config.base_dir, config.partitions, config.shutdown_grace) == (8080, "./target", 24, 5_000)


def test_flags_win_over_environment_over_file_over_default(tmp_path: Path) -> None:
    file = a_file(tmp_path, 'root = "file"\nlog_level = "error"\nbase_dir = "from-file"\n[ingress]\nport = 1\n')
    config = a_config("--root", "flag", file=file, PERDURE_ROOT="environment", PERDURE_LOG_LEVEL="debug", PERDURE_INGRESS__PORT="2")
    assert (config.root, config.log_level, config.base_dir, config.port) == ("flag", "debug", "from-file", 2)
    assert a_config("--port", "3", file=file, PERDURE_INGRESS__PORT="2").port == 3


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = a_file(tmp_path, "[ingress]\nport = 7\n")
    assert a_config(PERDURE_CONFIG=str(file)).port == 7


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        (["--patience", "1m 30s"], "patience", 90_000),
        (["--patience", "PT2S"], "patience", 2_000),
        (["--body-limit", "64KiB"], "body_limit", 65_536),
        (["--is-strict"], "is_strict", True),
        (["--is-strict", "false"], "is_strict", False),
        (["--ratio", "0.25"], "ratio", 0.25),
        (["--roles", "x, y,"], "roles", ("x", "y")),
        (["--port=9"], "port", 9),
    ],
)
def test_a_flag_is_read_in_its_unit(flags: list[str], name: str, expected: object) -> None:
    assert getattr(a_config(*flags), name) == expected


def test_a_file_is_read_in_its_units(tmp_path: Path) -> None:
    file = a_file(tmp_path, '[ingress]\npatience = "10s"\nbody_limit = 512\nis_strict = true\nroles = ["z"]\n')
    config = a_config(file=file)
    assert (config.patience, config.body_limit, config.is_strict, config.roles) == (10_000, 512, True, ("z",))


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (["--prot", "1"], {}, "unknown argument --prot"),
        (["stray"], {}, "unknown argument stray"),
        (["--port"], {}, "--port: expected one argument"),
        (["--port", "eighty"], {}, "--port: 'eighty': Expected `int`"),
        (["--port", "70000"], {}, "--port: '70000': Expected `int` <= 65535"),
        (["--patience", "10 parsecs"], {}, "--patience: '10 parsecs' has the unknown unit 'parsecs'"),
        (["--patience", "10"], {}, "--patience: '10' is not a duration"),
        (["--body-limit", "4 XB"], {}, "--body-limit: '4 XB' is not a size"),
        (["--is-strict", "maybe"], {}, "--is-strict: 'maybe'"),
        (["--log-level", "loud"], {}, "--log-level: 'loud'"),
        ([], {"PERDURE_PROT": "1"}, "unknown environment variable PERDURE_PROT"),
        ([], {"PERDURE_PORT": "1"}, "unknown environment variable PERDURE_PORT"),
        ([], {"PERDURE_INGRESS__PROT": "1"}, "unknown environment variable PERDURE_INGRESS__PROT"),
        ([], {"PERDURE_INGRES__PORT": "1"}, "unknown environment variable PERDURE_INGRES__PORT"),
        ([], {"PERDURE_INGRESS__PORT": "x"}, "PERDURE_INGRESS__PORT: 'x'"),
    ],
)
def test_a_wrong_flag_or_variable_is_refused_by_name(argv: list[str], environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        a_config(*argv, **environ)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "unknown key prot"),
        ("port = 1", "write it in its table, [ingress]"),
        ("[ingress]\nprot = 1", "unknown key ingress.prot"),
        ('[ingress]\nroot = "x"', "write it at the top, not in [ingress]"),
        ('log_level = "loud"', "'loud' is none of debug, info, warning, error"),
        ("[ingres]\nport = 1", "unknown key ingres"),
        ('[ingress]\nport = "x"', "ingress.port in"),
        ("[ingress]\npatience = 10", "ingress.patience in"),
        ('config = "other.toml"', "unknown key config"),
        ("= 1", "configuration file"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_and_the_path(tmp_path: Path, text: str, message: str) -> None:
    file = a_file(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        a_config(file=file)
    assert message in caught.value.message
    assert str(file) in caught.value.message


def test_a_missing_file_is_refused_by_its_path() -> None:
    with pytest.raises(ConfigurationError, match=r"/nowhere/perdure.toml: No such file"):
        a_config("--config", "/nowhere/perdure.toml")


def test_other_processes_settings_and_foreign_variables_are_left_alone(tmp_path: Path) -> None:
    file = a_file(tmp_path, "[admin]\nwhatever = 1\n[up]\ninvokers = 2\n")
    environ = {"PERDURE_ADMIN__WHATEVER": "1", "PERDURE_DIE_WITH_PARENT": "1", "OTHER_PORT": "x", "HOME": "/"}
    assert a_config(file=file, **environ) == a_config(file=file)


def test_a_secret_may_come_from_a_file_and_is_masked(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    config = a_config(PERDURE_INGRESS__TOKEN_FILE=str(secret))
    assert config.token == "s3cret"
    assert masked(config)["token"] == "***"
    assert masked(config)["nats_password"] == ""
    assert "s3cret" not in repr(masked(config))


def test_help_shows_every_setting_with_its_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(ExampleConfig, ["--help"], section="ingress", environ={})
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "--port NUMBER port to listen on [PERDURE_INGRESS__PORT, default 8080]",
        "--body-limit SIZE largest body [PERDURE_INGRESS__BODY_LIMIT, default 4MiB]",
        "--patience DURATION how long to wait [PERDURE_INGRESS__PATIENCE, default 1m 30s]",
        "100% is 1.0 [PERDURE_INGRESS__RATIO, default 0.5]",
        "[PERDURE_INGRESS__ROLES, default a,b]",
        "[PERDURE_INGRESS__IS_STRICT, default false]",
        "[PERDURE_BASE_DIR, default ./target]",
        "[PERDURE_NATS_PASSWORD_FILE, default empty]",
    ):
        assert part in text


def test_a_refused_setting_ends_the_process_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(ExampleConfig, ["--prot", "1"], section="ingress", environ={})
    assert caught.value.code == 2
    assert capsys.readouterr().err == "ingress: unknown argument --prot; --help lists all\n"


CLUSTERS = {"mine": {"bootstrap.servers": "kafka:9092", "sasl.password": "hush"}}


def test_clusters_are_tables_in_the_file_and_json_elsewhere(tmp_path: Path) -> None:
    file = a_file(tmp_path, '[kafka_clusters.mine]\n"bootstrap.servers" = "kafka:9092"\n"sasl.password" = "hush"\n')
    text = '{"mine": {"bootstrap.servers": "kafka:9092", "sasl.password": "hush"}}'
    assert a_config(file=file).kafka_clusters == CLUSTERS
    assert a_config(PERDURE_KAFKA_CLUSTERS=text).kafka_clusters == CLUSTERS
    assert a_config("--kafka-clusters", text).kafka_clusters == CLUSTERS


@pytest.mark.parametrize("text", ["{", "[]", '{"mine": 1}', '{"mine": {"port": {}}}'])
def test_clusters_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--kafka-clusters: "):
        a_config("--kafka-clusters", text)


def test_clusters_are_shown_by_their_names_alone() -> None:
    shown = masked(CommonConfig(kafka_clusters=CLUSTERS))
    assert shown["kafka_clusters"] == ["mine"]
    assert shown["nats_clusters"] == {}


def test_only_what_somebody_has_set_is_told_at_the_start() -> None:
    assert masked_changes(a_config()) == {}
    shown = masked_changes(a_config("--port", "9000", "--token", "s3cret", "--log-level", "info", "--retry-pauses", "false"))
    assert shown == {"port": 9000, "token": "***", "retry_pauses": False}


def test_passwords_within_urls_are_masked() -> None:
    shown = masked(a_config("--nats-url", "nats://ada:secret@one:4222,tls://token@two:4222"))
    assert shown["nats_url"] == "nats://***@one:4222,tls://***@two:4222"


def test_help_shows_first_what_only_this_process_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        a_config("--help")
    text = capsys.readouterr().out
    assert text.index("--body-limit") < text.index("settings of all processes") < text.index("--base-dir")
