"""The unit of systemd starts what there is, with settings that there are, and gives it the time that it needs."""

import re
from pathlib import Path
from typing import Final

from perdure.cli.main import commands
from perdure.cli.supervisor import WRONG_SETTING
from perdure.cli.up import UpConfig
from perdure.process.config import read

UNIT: Final = Path(__file__).resolve().parents[2] / "deploy/perdure.service"


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def config() -> UpConfig:
    environ = dict(pair.split("=", 1) for line in values("Environment") for pair in line.split())
    return read(UpConfig, [], section="up", environ=environ)


def test_it_starts_a_command_that_there_is() -> None:
    (command,) = values("ExecStart")
    program, name = command.split()
    assert Path(program).name == "perdure"
    assert name in commands.commands


def test_the_data_is_where_systemd_makes_room_for_it() -> None:
    assert [f"/var/lib/{name}" for name in values("StateDirectory")] == [config().base_dir]


def test_it_may_take_its_time_to_stop_and_is_not_started_again_where_a_setting_is_wrong() -> None:
    (patience,) = values("TimeoutStopSec")
    assert int(patience) * 1_000 > config().shutdown_grace
    assert values("RestartPreventExitStatus") == [str(WRONG_SETTING)]
    assert values("KillMode") == ["mixed"]
