"""What `perdure up` says where it cannot even begin."""

from pathlib import Path

import pytest

from perdure.cli.up import run_up


def test_a_base_directory_that_is_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").touch()
    assert run_up({"base_dir": str(tmp_path / "f")}) == 2
    assert capsys.readouterr().err == f"perdure: the base directory {tmp_path}/f is a file; choose another --base-dir\n"


def test_a_base_directory_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").touch()
    assert run_up({"base_dir": str(tmp_path / "f" / "data")}) == 2
    assert capsys.readouterr().err.startswith(f"perdure: the base directory {tmp_path}/f/data cannot be used: Not a directory")


def test_one_address_for_the_metrics_of_all_processes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_METRICS_ADDRESS", "127.0.0.1:9464")
    assert run_up({"base_dir": str(tmp_path)}) == 2
    assert capsys.readouterr().err.startswith("perdure: metrics_address 127.0.0.1:9464: every process would listen there")
