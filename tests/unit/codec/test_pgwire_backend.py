"""What PostgreSQL clients are answered, and values on the wire. The client's side is psycopg's own reading of them."""

import datetime
import decimal
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from perdure.codec.pgwire import backend
from perdure.codec.pgwire.values import Interval, InvalidParameter, Oid, decode_parameter, encoder

moments = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
BY_OID = {
    Oid.BOOL: st.booleans(),
    Oid.BYTEA: st.binary(max_size=20),
    Oid.INT2: st.integers(-(2**15), 2**15 - 1),
    Oid.INT4: st.integers(-(2**31), 2**31 - 1),
    Oid.INT8: st.integers(-(2**63), 2**63 - 1),
    Oid.FLOAT4: st.floats(allow_nan=False, width=32),
    Oid.FLOAT8: st.floats(allow_nan=False),
    Oid.TEXT: st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    Oid.TEXT_ARRAY: st.lists(st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8), max_size=4),
    Oid.INT8_ARRAY: st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=4),
    Oid.DATE: st.dates(datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)),
    Oid.TIMESTAMP: moments,
    Oid.TIMESTAMPTZ: moments.map(lambda moment: moment.replace(tzinfo=datetime.UTC)),
    Oid.INTERVAL: st.timedeltas(datetime.timedelta(days=-1000), datetime.timedelta(days=1000)),
    Oid.NUMERIC: st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20)
    | st.integers(0, 2**64 - 1).map(decimal.Decimal),
}
PARAMETERS = [oid for oid in BY_OID if oid not in {Oid.TEXT_ARRAY, Oid.INT8_ARRAY, Oid.INTERVAL}]


def read_by_psycopg(raw: bytes, oid: Oid, code: int) -> object:
    return Transformer().get_loader(oid, Format(code)).load(raw)


@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("oid", BY_OID, ids=lambda oid: oid.name)
@given(data=st.data())
def test_clients_read_what_was_meant(oid: Oid, code: int, data: st.DataObject) -> None:
    value = data.draw(BY_OID[oid])
    read = read_by_psycopg(encoder(oid, code)(value), oid, code)
    assert read == value
    assert type(read) is type(value)


def test_floats_that_are_no_numbers_are_read() -> None:
    for code in (0, 1):
        assert math.isnan(read_by_psycopg(encoder(Oid.FLOAT8, code)(math.nan), Oid.FLOAT8, code))
        assert read_by_psycopg(encoder(Oid.FLOAT8, code)(-math.inf), Oid.FLOAT8, code) == -math.inf
    assert read_by_psycopg(encoder(Oid.NUMERIC, 1)(decimal.Decimal("NaN")), Oid.NUMERIC, 1).is_nan()


@pytest.mark.parametrize("code", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize(
    "oid", [oid for oid in BY_OID if oid not in {Oid.TEXT_ARRAY, Oid.INT8_ARRAY, Oid.INTERVAL}], ids=lambda oid: oid.name
)
@given(data=st.data())
def test_parameters_are_read_in_the_form_in_which_results_are_sent(oid: Oid, code: int, data: st.DataObject) -> None:
    value = data.draw(BY_OID[oid])
    read = decode_parameter(encoder(oid, code)(value), oid, code)
    if isinstance(read, datetime.datetime):
        read, value = read.replace(tzinfo=None), value.replace(tzinfo=None)
    assert read == value


@pytest.mark.parametrize("word", ["t", "TRUE", " yes ", "on", "1"])
def test_words_for_true_are_read(word: str) -> None:
    assert decode_parameter(word.encode(), Oid.BOOL, 0) is True


@pytest.mark.parametrize(
    ("raw", "oid", "code"),
    [
        (b"x", Oid.INT8, 0),
        (b"maybe", Oid.BOOL, 0),
        (b"\x00", Oid.INT8, 1),
        (b"1.2.3", Oid.NUMERIC, 0),
        (b"\xff", Oid.TEXT, 0),
        (b"", Oid.NUMERIC, 1),
    ],
)
def test_parameters_of_another_form_are_refused(raw: bytes, oid: Oid, code: int) -> None:
    with pytest.raises(InvalidParameter):
        decode_parameter(raw, oid, code)


def test_null_is_a_parameter_of_any_type() -> None:
    assert decode_parameter(None, Oid.INT8, 1) is None


def test_a_row_tells_null_from_empty() -> None:
    assert backend.data_row([None, b"", b"ab"]) == b"D" + struct.pack(">ihiii", 20, 3, -1, 0, 2) + b"ab"


def test_a_row_description_tells_types_sizes_and_formats() -> None:
    described = backend.row_description([backend.Column("id", Oid.TEXT), backend.Column("n", Oid.INT4)], [0, 1])
    fields = b"id\x00" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0) + b"n\x00" + struct.pack(">IhIhih", 0, 0, 23, 4, -1, 1)
    assert described == b"T" + struct.pack(">ih", len(fields) + 6, 2) + fields


def test_an_error_tells_severity_state_message_and_hint() -> None:
    raw = backend.error_response("ERROR", "42601", "wrong", hint="do this")
    assert raw == b"E" + struct.pack(">i", len(raw) - 1) + b"SERROR\0VERROR\0C42601\0Mwrong\0Hdo this\0\0"


def test_text_with_a_terminator_inside_cannot_forge_fields() -> None:
    assert backend.error_response("ERROR", "42601", "a\0Cb").count(b"\0C") == 1


def test_fixed_messages_are_those_of_the_protocol() -> None:
    assert bytes.fromhex("52 00000008 00000000") == backend.AUTHENTICATION_OK
    assert backend.ready_for_query(b"I") == bytes.fromhex("5a 00000005 49")
    assert backend.backend_key_data(7, b"wxyz") == bytes.fromhex("4b 0000000c 00000007 7778797a")
    assert backend.command_complete("SELECT 3") == b"C\0\0\0\x0dSELECT 3\0"
    assert backend.parameter_description([25, 20]) == bytes.fromhex("74 0000000e 0002 00000019 00000014")
    assert backend.negotiate_protocol_version(0, ["_pq_.a"]) == b"v\0\0\0\x13\0\0\0\0\0\0\0\x01_pq_.a\0"
    assert backend.parameter_status("a", "b") == b"S\0\0\0\x08a\0b\0"


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("1 day", 0, 86_400),
        ("-1 days +02:03:04.5", 0, -86_400 + 7_384.5),
        ("0 years 2 mons 1 days 3 hours 0 mins 0.25 secs", 2, 86_400 + 10_800.25),
        ("36:00:00", 0, 129_600),
        ("-00:00:01", 0, -1),
        ("1 day, 0:00:01", 0, 86_401),
        ("2weeks 5ms", 0, 14 * 86_400 + 0.005),
    ],
)
def test_intervals_are_read(text: str, months: int, seconds: float) -> None:
    assert decode_parameter(text.encode(), Oid.INTERVAL, 0) == Interval(months, round(seconds * 1_000_000))
    raw = struct.pack(">qii", 7, 2, 1)
    assert decode_parameter(raw, Oid.INTERVAL, 1) == Interval(1, 2 * 86_400_000_000 + 7)


@pytest.mark.parametrize("text", ["1", "1 parsec", "soon", "1 day ago"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        decode_parameter(text.encode(), Oid.INTERVAL, 0)
