"""Fixed-width base62 of byte-reversed integers. Source: shared/spec/lifecycle.md, section 1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base import base62


@given(st.one_of(st.binary(min_size=8, max_size=8), st.binary(min_size=16, max_size=16)))
def test_decoding_returns_what_was_encoded(raw: bytes) -> None:
    text = base62.encode(raw)
    assert len(text) == {8: 11, 16: 22}[len(raw)]
    assert set(text) <= set(base62.ALPHABET)
    assert base62.decode(text, len(raw)) == raw


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("0000000000000000", "00000000000"),
        ("0100000000000000", "00000000001"),
        ("0a00000000000000", "0000000000a"),
        ("2400000000000000", "0000000000A"),
        ("3e00000000000000", "00000000010"),
        ("ffffffffffffffff", "lYGhA16ahyf"),
        ("bd63cb11b3b330bd", "gf3qgbvqBGZ"),
        ("4bda6b8a14274dde", "j5iUtY5kHBV"),
        ("01a20afaafb7e34d7bf0f4ef1fba9e2f", "1rRb1AyrT3xilKGPITJFcJ"),
    ],
)
def test_known_numbers_have_their_known_text(raw: str, text: str) -> None:
    assert base62.encode(bytes.fromhex(raw)) == text
    assert base62.decode(text, len(raw) // 2).hex() == raw


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_texts_are_ordered_like_the_little_endian_numbers(a: bytes, b: bytes) -> None:
    def digits(text: str) -> list[int]:
        return [base62.ALPHABET.index(digit) for digit in text]

    numbers = int.from_bytes(a, "little") < int.from_bytes(b, "little")
    assert (digits(base62.encode(a)) < digits(base62.encode(b))) == numbers


@pytest.mark.parametrize(
    ("text", "size"), [("lYGhA16ahyg", 8), ("ZZZZZZZZZZZ", 8), ("Z" * 22, 16), ("0000000000-", 8), ("000000000 0", 8), ("é", 8)]
)
def test_what_does_not_fit_is_refused(text: str, size: int) -> None:
    with pytest.raises(ValueError, match="base62 decode error"):
        base62.decode(text, size)
