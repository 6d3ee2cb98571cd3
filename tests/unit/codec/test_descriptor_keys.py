import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.codec.descriptors.errors import BadMessage
from perdure.codec.descriptors.keys import encode_varint, fields, key_of, read_varint, with_key


def text_field(number: int, content: bytes) -> bytes:
    return encode_varint(number << 3 | 2) + encode_varint(len(content)) + content


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"", b""),
        (text_field(1, b"k"), b"k"),
        (text_field(1, b"first") + text_field(1, b"second"), b"first"),
        (text_field(2, b"other") + text_field(1, b"k"), b"k"),
        (text_field(2, text_field(1, b"inner")), b""),
        (b"\x18\x96\x01" + text_field(1, b"k"), b"k"),
        (b"\x19" + bytes(8) + b"\x25" + bytes(4) + text_field(1, b"k"), b"k"),
        (b"\x1b\x08\x01\x22\x01a\x2b\x2c\x1c" + text_field(1, b"k"), b"k"),
        (text_field(1, b"k") + b"\xff", b"k"),
    ],
)
def test_the_key_is_the_content_of_its_first_occurrence(payload: bytes, key: bytes) -> None:
    assert key_of(payload, 1) == key


@pytest.mark.parametrize(
    "payload",
    [
        b"\x08\x01",
        b"\x0a\x05k",
        b"\x12",
        b"\xff" * 11,
        b"\x00",
        b"\x1c",
        b"\x1f",
        b"\x1b\x24",
        b"\x1b\x12\x05a",
        b"\x19" + bytes(7),
    ],
)
def test_a_request_without_a_readable_key_is_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        key_of(payload, 1)


@given(st.binary(max_size=40), st.integers(1, 20))
def test_any_bytes_have_a_key_or_are_refused(payload: bytes, number: int) -> None:
    with contextlib.suppress(BadMessage):
        assert key_of(payload, number) in payload


@given(st.lists(st.tuples(st.integers(1, 5), st.binary(max_size=9))), st.integers(1, 5), st.binary(max_size=9))
def test_a_key_that_is_put_in_is_found_and_all_else_stays(parts: list[tuple[int, bytes]], number: int, key: bytes) -> None:
    request = with_key(b"".join(text_field(*part) for part in parts), number, key)
    assert key_of(request, number) == key
    assert [(n, request[start:end]) for n, _, _, start, end in fields(request) if n != number] == [p for p in parts if p[0] != number]


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_back(value: int) -> None:
    encoded = encode_varint(value)
    assert read_varint(b"\0" + encoded, 1) == (value, 1 + len(encoded))
