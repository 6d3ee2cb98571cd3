"""Which rows a COPY wants, and how they look."""

import pytest

from perdure.codec.pgwire.backend import Column
from perdure.codec.pgwire.copy import CopyEncoder, CopyFormat, CopyOptions
from perdure.codec.pgwire.values import Oid
from perdure.query.errors import QueryError
from services.sql.copying import parse_copy


@pytest.mark.parametrize(
    ("sql", "query", "options"),
    [
        ("COPY  ( select (1) ) TO STDOUT ", " select (1) ", CopyOptions()),
        ("copy state to stdout;", "SELECT * FROM state", CopyOptions()),
        (
            'copy public.state ("key", value) to stdout csv header',
            'SELECT "key", value FROM public.state',
            CopyOptions(CopyFormat.CSV, True),
        ),
        (
            "COPY (SELECT 1) TO STDOUT WITH (FORMAT csv, HEADER false, DELIMITER E'\\t', NULL 'it''s', QUOTE '%')",
            "SELECT 1",
            CopyOptions(CopyFormat.CSV, delimiter="\t", null="it's", quote="%"),
        ),
        ("COPY (SELECT 1) TO STDOUT (FORMAT BINARY)", "SELECT 1", CopyOptions(CopyFormat.BINARY)),
    ],
)
def test_a_copy_is_a_query_and_a_form(sql: str, query: str, options: CopyOptions) -> None:
    copy = parse_copy(sql)
    assert (copy.sql.strip(), copy.options) == (query.strip(), options)


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("COPY state FROM STDIN", "25006"),
        ("COPY state TO '/tmp/x'", "25006"),
        ("COPY state TO PROGRAM 'rm'", "25006"),
        ("COPY state TO STDOUT (FORMAT xml)", "22023"),
        ("COPY state TO STDOUT (ENCODE 'x')", "0A000"),
    ],
)
def test_other_copies_are_refused(sql: str, sqlstate: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_copy(sql)
    assert caught.value.sqlstate == sqlstate


def copied(options: CopyOptions, *rows: tuple[object, ...]) -> bytes:
    encoder = CopyEncoder([Column("a", Oid.TEXT), Column("b", Oid.INT8)], options)
    stream = encoder.begin() + b"".join(map(encoder.row, rows)) + encoder.end()
    content = b""
    while stream:
        size = 1 + int.from_bytes(stream[1:5], "big")
        content += stream[5:size] if stream[:1] == b"d" else b""
        stream = stream[size:]
    return content


def test_text_escapes_what_ends_fields_and_rows() -> None:
    assert copied(CopyOptions(), ("a\tb\nc\\", 1), (None, None)) == b"a\\tb\\nc\\\\\t1\n\\N\t\\N\n"
    assert copied(CopyOptions(delimiter="|"), ("a|b", 1)) == b"a\\|b|1\n"


def test_csv_quotes_what_needs_it() -> None:
    rows = [('say "a, b"', 1), ("", 2), (None, None), ("plain", 3)]
    assert copied(CopyOptions(CopyFormat.CSV, has_header=True), *rows) == b'a,b\n"say ""a, b""",1\n"",2\n,\nplain,3\n'


def test_binary_has_a_signature_and_an_end_even_without_rows() -> None:
    empty = copied(CopyOptions(CopyFormat.BINARY))
    assert empty == b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
    row = copied(CopyOptions(CopyFormat.BINARY), ("x", None))
    assert row == empty[:-2] + b"\0\x02\0\0\0\x01x\xff\xff\xff\xff\xff\xff"
