"""Credentials of NATS: what a file must hold."""

import base64
from pathlib import Path

import pytest

from perdure.base.errors import ConfigurationError
from perdure.bus.nats.credentials import decode_seed, read_credentials
from tests.contract.bus.nats_accounts import OPERATOR, USER, Accounts, Key


def test_a_file_gives_token_and_key(tmp_path: Path) -> None:
    credentials = read_credentials(Accounts().credentials(tmp_path / "user.creds"))
    assert credentials.jwt.count(b".") == 2
    assert len(credentials.seed) == 32
    assert len(base64.b64decode(credentials.sign("nonce"))) == 64


@pytest.mark.parametrize("kind", [OPERATOR, USER])
def test_a_seed_says_that_it_is_one_and_is_checked(kind: int) -> None:
    seed = Key(kind).seed
    assert seed.startswith("S")
    assert len(decode_seed(seed.encode())) == 32


@pytest.mark.parametrize(
    ("seed", "reason"),
    [
        ("SUA!", "not base32"),
        ("SUAM", "not one of an nkey"),
        (Key(USER).public, "not one of an nkey"),
        (Key(USER).seed[:-1] + "\N{SPACE}", "not base32"),
    ],
)
def test_what_is_no_seed_is_refused(seed: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_seed(seed.encode())


def test_a_seed_that_was_mistyped_is_refused() -> None:
    seed = Key(USER).seed
    other = "A" if seed[10] != "A" else "B"
    with pytest.raises(ValueError, match="checksum"):
        decode_seed((seed[:10] + other + seed[11:]).encode())


@pytest.mark.parametrize("text", ["", "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n"])
def test_a_file_without_token_and_seed_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "user.creds"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="must hold a NATS USER JWT and a USER NKEY SEED"):
        read_credentials(str(path))


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_credentials(str(tmp_path / "nobody.creds"))
