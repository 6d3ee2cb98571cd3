"""SCRAM-SHA-256, against the example of its RFC and against whatever a client may send."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.codec.pgwire.scram import Credentials, ScramError, ScramExchange, credentials_of

# RFC 7677, section 3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CREDENTIALS = credentials_of("pencil", SALT)
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
OUTCOME = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_example_of_the_rfc_is_answered_as_it_says() -> None:
    exchange = ScramExchange(CREDENTIALS, NONCE)
    assert exchange.first(FIRST) == CHALLENGE
    assert exchange.final(FINAL) == OUTCOME


@pytest.mark.parametrize("password", ["Pencil", "", "pencil "])
def test_another_password_does_not_do(password: str) -> None:
    exchange = ScramExchange(credentials_of(password, SALT), NONCE)
    exchange.first(FIRST)
    assert exchange.final(FINAL) is None


def test_what_is_kept_is_not_the_password() -> None:
    assert b"pencil" not in b"".join([CREDENTIALS.salt, CREDENTIALS.stored_key, CREDENTIALS.server_key])
    assert isinstance(CREDENTIALS, Credentials)


@pytest.mark.parametrize("first", [b"", b"n,,", b"p=tls-server-end-point,,n=,r=x", b"n,,m=x,r=y", b"\xff,,r=x", b"n,,n=user"])
def test_a_first_message_that_is_not_understood_is_refused(first: bytes) -> None:
    with pytest.raises(ScramError):
        ScramExchange(CREDENTIALS, NONCE).first(first)


def changed(at: int, byte: int) -> bytes:
    return FINAL[:at] + bytes([byte]) + FINAL[at + 1 :]


@given(st.binary(max_size=60) | st.builds(changed, st.integers(0, 110), st.integers(0, 255)))
def test_no_other_final_message_lets_a_client_in(final: bytes) -> None:
    exchange = ScramExchange(CREDENTIALS, NONCE)
    exchange.first(FIRST)
    try:
        outcome = exchange.final(final)
    except ScramError:
        return
    assert outcome is None or final.partition(b",p=")[2] == FINAL.partition(b",p=")[2]
