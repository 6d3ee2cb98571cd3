"""How the sql process sorts statements by their text."""

import pytest

from perdure.codec.pgwire.values import Oid
from perdure.query.errors import QueryError
from services.sql.settings import Settings
from services.sql.statements import Kind, parse, split, with_intervals


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("select 1", ["select 1"]),
        ("select 1;", ["select 1"]),
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select ';'; select 2", ["select ';'", "select 2"]),
        ("select 'it''s;'; x", ["select 'it''s;'", "x"]),
        (r"select E'\';'; x", [r"select E'\';'", "x"]),
        ('select ";"; x', ['select ";"', "x"]),
        ("select $$;$$; select $a$;$$;$a$", ["select $$;$$", "select $a$;$$;$a$"]),
        ("-- ;\nselect 1", ["-- ;\nselect 1"]),
        ("select /* ; */ 1", ["select /* ; */ 1"]),
        ("", []),
        (" ; -- nothing\n; /* nothing */", []),
        ("select 'open; end", ["select 'open", "end"]),
    ],
)
def test_statements_end_at_semicolons_that_are_not_quoted(text: str, parts: list[str]) -> None:
    assert [statement.sql.strip() for statement in split(text)] == parts


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1", Kind.QUERY),
        ("(select 1)", Kind.QUERY),
        ("-- a note\nwith a as (select 1) select * from a", Kind.QUERY),
        ("/* delete */ select 1", Kind.QUERY),
        ("values (1)", Kind.QUERY),
        ("explain select 1", Kind.QUERY),
        ("show tables", Kind.QUERY),
        ("show server_version", Kind.SHOW),
        ("SET a = 1", Kind.SET),
        ("begin isolation level serializable", Kind.BEGIN),
        ("start transaction", Kind.BEGIN),
        ("end", Kind.COMMIT),
        ("abort", Kind.ROLLBACK),
        ("rollback to savepoint a", Kind.IGNORED),
        ("UNLISTEN *", Kind.IGNORED),
        ("DISCARD ALL", Kind.DISCARD),
        ("move forward all in c", Kind.FETCH),
        ("listen a", Kind.UNSUPPORTED),
        ("prepare p as select 1", Kind.UNSUPPORTED),
        ("deallocate all", Kind.DEALLOCATE),
        ("Delete from state", Kind.WRITE),
        ("copy t to stdout", Kind.COPY),
        ("selec", Kind.QUERY),
        ("  ", Kind.EMPTY),
    ],
)
def test_the_first_word_tells_the_kind(text: str, kind: Kind) -> None:
    assert parse(text).kind is kind


def test_parameters_are_counted_outside_of_quotes_and_typed_by_their_casts() -> None:
    statement = parse("select $1, $3::int8, '$7', \"$8\", $2 :: Boolean, $1::text -- $9")
    assert statement.parameter_count == 3
    assert statement.parameter_casts == {3: Oid.INT8, 2: Oid.BOOL}


def settings() -> Settings:
    return Settings({"user": "me", "application_name": "a", "DateStyle": "German", "TimeZone": "Europe/Berlin"})


def show(of: Settings, text: str) -> str:
    return of.show(parse(text))[1]


@pytest.mark.parametrize(
    "text",
    ["SET application_name = 'b'", "set application_name to b", "SET SESSION application_name TO 'b';"],
)
def test_a_setting_is_what_was_set(text: str) -> None:
    changed = settings()
    changed.set(parse(text))
    assert show(changed, "show application_name") == "b"


@pytest.mark.parametrize(
    "text", ["reset application_name", "RESET ALL", "set application_name to default", "SET application_name = DEFAULT"]
)
def test_a_setting_goes_back_to_what_the_client_connected_with(text: str) -> None:
    changed = settings()
    changed.set(parse("set application_name to b"))
    changed.set(parse(text))
    assert show(changed, "show application_name") == "a"


def test_a_local_setting_ends_with_its_transaction_and_others_with_one_that_is_undone() -> None:
    changed = settings()
    changed.set(parse("set local search_path to v0_8"))
    assert changed.schema == "public"  # there is no transaction
    changed.begin()
    changed.set(parse("set local search_path to v0_8"))
    changed.set(parse("set application_name to b"))
    assert (changed.schema, show(changed, "show application_name")) == ("v0_8", "b")
    changed.end(is_undone=False)
    assert (changed.schema, show(changed, "show application_name")) == ("public", "b")
    changed.begin()
    changed.set(parse("set search_path to v0_8"))
    changed.end(is_undone=True)
    assert changed.schema == "public"


@pytest.mark.parametrize(("text", "limit_ms"), [("0", 0), ("250", 250), ("'30s'", 30_000), ("'5 min'", 300_000), ("1h", 3_600_000)])
def test_a_client_limits_the_time_of_its_statements(text: str, limit_ms: int) -> None:
    changed = settings()
    changed.set(parse(f"SET statement_timeout = {text}"))
    assert changed.statement_timeout_ms == limit_ms


def test_a_timeout_that_is_none_is_refused() -> None:
    changed = settings()
    with pytest.raises(QueryError, match="statement_timeout"):
        changed.set(parse("SET statement_timeout = soon"))
    assert changed.statement_timeout_ms == 0
    with pytest.raises(QueryError, match="statement_timeout"):
        Settings({"options": "-c statement_timeout=soon"})


def test_parameters_that_are_intervals_say_so_to_the_engine() -> None:
    sql = "SELECT now() - $1, '$1', $2::interval, $12, $1 :: text"
    assert with_intervals(sql, [1, 2]) == "SELECT now() - $1::interval, '$1', $2::interval, $12, $1 :: text"


@pytest.mark.parametrize("text", ["SET TIME ZONE 'Asia/Tokyo'", "set timezone to 'Asia/Tokyo'", "reset all", "set transaction read write"])
def test_what_values_look_like_does_not_change(text: str) -> None:
    changed = settings()
    changed.set(parse(text))
    assert show(changed, "show time zone") == show(changed, "show timezone") == "UTC"
    assert show(changed, "show datestyle") == "ISO, MDY"
    assert show(changed, "show transaction isolation level") == "read committed"


def test_an_encoding_that_is_not_sent_is_refused() -> None:
    settings().set(parse("SET client_encoding TO 'UTF8'"))
    with pytest.raises(QueryError) as caught:
        settings().set(parse("SET client_encoding TO 'LATIN1'"))
    assert caught.value.sqlstate == "22023"


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(QueryError) as caught:
        settings().show(parse("show nope"))
    assert caught.value.sqlstate == "42704"


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("SELECT * FROM sys_invocation WHERE created_at > $1 LIMIT $2", {1: Oid.TIMESTAMPTZ, 2: Oid.INT8}),
        ('SELECT 1 FROM sys_journal WHERE "index" >= $1 AND name = $2', {1: Oid.INT8}),
        ("SELECT 1 FROM sys_inbox WHERE partition_key = ANY($1) AND id = any ( $2 )", {1: Oid.INT8_ARRAY, 2: Oid.TEXT_ARRAY}),
        ("SELECT $1::oid[], $2::pg_catalog.int8 WHERE created_at = $3::text", {1: Oid.OID_ARRAY, 2: Oid.INT8}),
    ],
)
def test_a_parameter_has_the_type_of_its_cast_or_of_the_column_beside_it(text: str, types: dict[int, Oid]) -> None:
    assert parse(text).parameter_casts == types


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({}, "public"),
        ({"search_path": "v0_8"}, "v0_8"),
        ({"options": "-c search_path=v0_8"}, "v0_8"),
        ({"options": "-cstatement_timeout=1 --search_path=nowhere,v0_8"}, "v0_8"),
        ({"search_path": '"$user", public'}, "public"),
    ],
)
def test_the_search_path_tells_the_schema_of_bare_names(given: dict[str, str], schema: str) -> None:
    assert Settings(given).schema == schema


def test_a_search_path_is_set_within_a_session() -> None:
    settings = Settings({})
    settings.set(parse("SET search_path TO v0_8, public"))
    assert settings.schema == "v0_8"
