"""The tokens of request identity, checked without the code that makes them."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from perdure.base.errors import ConfigurationError
from perdure.deployments.headers import encode_headers, key_in
from perdure.deployments.identity import REUSE_MS_MAX, TOKENS_MAX, base58, load_identity

PEM = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPe++4ZTPQDF81otpoU/mOGHC2vOAVp9WbiCblvn3nXO
-----END PRIVATE KEY-----
"""
KEY_ID = "publickeyv1_AfQwmwfgEZhrWpvv8N52SHpRtZqGGaFr4AZN6qtYWSiY"
PUBLIC_KEY = bytes.fromhex("8f9053bc7f96268d101879b685d2ceba4e8feeccca8134319a99e79997bf0dc5")
NOW_MS = 1_772_357_400_125


class HandClock:
    def __init__(self) -> None:
        self.at_ms = NOW_MS

    def now_ms(self) -> int:
        return self.at_ms


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_text(PEM)
    return path


def part(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def claims(headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what a token claims, once its signature holds."""
    token = dict(headers)["x-restate-jwt-v1"]
    head, body, signature = token.split(".")
    Ed25519PublicKey.from_public_bytes(PUBLIC_KEY).verify(base64.urlsafe_b64decode(signature + "=="), f"{head}.{body}".encode())
    assert part(head) == {"typ": "JWT", "alg": "EdDSA", "kid": KEY_ID}
    return part(body)


def test_the_key_id_is_that_of_the_published_vector(key_file: Path) -> None:
    assert load_identity(str(key_file), HandClock()).key_id == KEY_ID


def test_a_token_names_the_path_and_is_valid_for_a_minute_around_now(key_file: Path) -> None:
    headers = load_identity(str(key_file), HandClock()).headers("/discover", None)
    assert dict(headers)["x-restate-signature-scheme"] == "v1"
    now_s = NOW_MS // 1_000
    assert claims(headers) == {"aud": "/discover", "iat": now_s, "nbf": now_s - 60, "exp": now_s + 60}


def test_the_subject_is_the_key_of_a_keyed_target(key_file: Path) -> None:
    identity = load_identity(str(key_file), HandClock())
    assert claims(identity.headers("/invoke/Counter/add", "käse / 1"))["sub"] == "käse / 1"
    assert claims(identity.headers("/invoke/Counter/add", ""))["sub"] == ""


def test_a_token_is_used_again_for_some_seconds_and_not_longer(key_file: Path) -> None:
    clock = HandClock()
    identity = load_identity(str(key_file), clock)
    first = identity.headers("/discover", None)
    clock.at_ms += REUSE_MS_MAX - 1
    assert identity.headers("/discover", None) is first
    clock.at_ms += 1
    assert claims(identity.headers("/discover", None))["iat"] == clock.at_ms // 1_000


def test_a_token_counts_as_long_as_was_wanted_and_is_not_used_to_its_end(key_file: Path) -> None:
    clock = HandClock()
    identity = load_identity(str(key_file), clock, expiration_ms=4_000)
    first = identity.headers("/discover", None)
    now_s = NOW_MS // 1_000
    assert claims(first) == {"aud": "/discover", "iat": now_s, "nbf": now_s - 4, "exp": now_s + 4}
    clock.at_ms += 2_000
    assert claims(identity.headers("/discover", None))["iat"] == now_s + 2


def test_a_clock_that_jumps_back_gets_a_fresh_token(key_file: Path) -> None:
    clock = HandClock()
    identity = load_identity(str(key_file), clock)
    identity.headers("/discover", None)
    clock.at_ms -= 3_600_000
    assert claims(identity.headers("/discover", None))["iat"] == clock.at_ms // 1_000


def test_tokens_differ_by_path_and_key(key_file: Path) -> None:
    identity = load_identity(str(key_file), HandClock())
    seen = [claims(identity.headers(path, key)) for path in ("/invoke/A/x", "/invoke/A/y") for key in (None, "1", "2")]
    assert [(each["aud"], each.get("sub")) for each in seen] == [
        *(("/invoke/A/x", key) for key in (None, "1", "2")),
        *(("/invoke/A/y", key) for key in (None, "1", "2")),
    ]


def test_no_more_tokens_are_kept_than_the_limit_says(key_file: Path) -> None:
    identity = load_identity(str(key_file), HandClock())
    for number in range(TOKENS_MAX + 1):
        identity.headers("/invoke/Counter/add", str(number))
    assert len(identity._kept) == 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "0 PEM blocks"),
        (b"not a key", "0 PEM blocks"),
        (PEM.encode() * 2, "2 PEM blocks"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key that can be read"),
        (
            generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "not an Ed25519 key",
        ),
    ],
)
def test_a_file_without_exactly_one_ed25519_key_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "wrong.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=what) as raised:
        load_identity(str(path), HandClock())
    assert str(path) in raised.value.message


def test_a_missing_key_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_identity(str(tmp_path / "none.pem"), HandClock())


@pytest.mark.parametrize(
    ("data", "text"), [(b"", ""), (b"\0", "1"), (b"\0\0\1", "112"), (b"hello world", "StV1DL6CwTryKyV"), (b"\xff\xff", "LUv")]
)
def test_base58_is_that_of_bitcoin(data: bytes, text: str) -> None:
    assert base58(data) == text


def test_identity_wins_over_additional_headers_and_those_over_the_protocols() -> None:
    headers = encode_headers(b"h:1", [("accept", "a"), ("x-other", "o")], {"Accept": "mine", "X-Jwt": "forged"}, [("x-jwt", "real")])
    assert dict(headers) == {b"host": b"h:1", b"accept": b"mine", b"x-other": b"o", b"x-jwt": b"real"}


def test_the_key_is_read_from_its_header() -> None:
    assert key_in([("x-restate-service-key", "k%C3%A4se%20%2F%201")]) == "käse / 1"
    assert key_in([("x-restate-service-key", "")]) == ""
    assert key_in([("accept", "*/*")]) is None
