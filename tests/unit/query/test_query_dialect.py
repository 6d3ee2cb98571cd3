"""What PostgreSQL's clients send, as the engine takes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.query.catalogue import SCHEMAS
from perdure.query.datafusion import DataFusion
from perdure.query.postgres.dialect import rewritten
from perdure.query.tokens import nested, text_of
from perdure.query.wire import Dialect

ENGINE = DataFusion(SCHEMAS, {}, memory_bytes_max=1 << 26)
POSTGRES = Dialect(is_postgres=True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select target from sys_invocation where id = 'pg_class::regclass' -- pg_type::oid\n and status <> 'completed'",
        "SELECT (SELECT id FROM sys_invocation ORDER BY created_at LIMIT 1), created_at::text FROM sys_service;",
        'SELECT "current_user", a.current_user FROM t a',
        "SELECT count(*) FROM (SELECT * FROM sys_invocation) WHERE x[1] = $1 AND y LIKE 'a%'",
        'SELECT \'\' , "a""b", $$it\'s$$, /* (( */ 1e5',
    ],
)
def test_a_statement_that_the_engine_understands_is_left_alone(sql: str) -> None:
    assert rewritten(sql) == sql


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 'x'::regclass", "SELECT regclass_oid(CAST('x' AS VARCHAR))"),
        ("SELECT 'x'::regclass::oid", "SELECT regclass_oid(CAST('x' AS VARCHAR))"),
        ("SELECT c.oid::pg_catalog.regclass::text", "SELECT regclass_name(c.oid)::text"),
        ("SELECT f(a.b)::name, (c)::oid", "SELECT CAST(f(a.b) AS VARCHAR), CAST((c) AS BIGINT)"),
        ("SELECT CAST($1 AS REGCLASS)", "SELECT regclass_oid(CAST($1 AS VARCHAR))"),
        ("SELECT '{a,b}'::text[]", "SELECT string_to_array(btrim('{a,b}', '{}'), ',')"),
        ("SELECT a OPERATOR(pg_catalog.~) '^b$' COLLATE pg_catalog.default", "SELECT a ~ '^b$'"),
        ("SELECT pg_catalog.format_type(1, NULL)", "SELECT format_type(1, NULL)"),
        ("SELECT * FROM pg_class c, pg_type", "SELECT * FROM pg_catalog.pg_class c, pg_catalog.pg_type"),
        ("SELECT d.datcollate AS collate FROM d", "SELECT d.datcollate AS collate FROM d"),
        (
            "SELECT 1 WHERE a = ANY ('{r,p}') AND b <> ALL(x)",
            "SELECT 1 WHERE a = ANY (string_to_array(btrim('{r,p}', '{}'), ',')) AND b <> ALL(x)",
        ),
        ("SELECT unnest((SELECT a FROM pg_constraint)) FROM x", "SELECT unnest(CAST(NULL AS VARCHAR[])) FROM x"),
        ("SELECT a::regtype[]", "SELECT CAST(a AS VARCHAR[])"),
        ("SELECT current_user", 'SELECT "current_user"()'),
        ("SELECT 1, 1", 'SELECT 1, 1 AS "?column?3"'),
        ("SELECT db.oid,db.* FROM t db", 'SELECT db.oid AS "oid?again?3", db.* FROM t db'),
        ('SELECT *, "Id", f(id), x.id FROM x', 'SELECT *, "Id" AS "Id?again?3", f(id), x.id AS "id?again?10" FROM x'),
        ("SELECT a.id, b.*, 2 * a.n FROM a, b", "SELECT a.id, b.*, 2 * a.n FROM a, b"),
        ('SELECT $1::"pg_catalog"."text", CAST(x AS pg_catalog.text)', "SELECT $1::text, x::text"),
        ("SELECT a LIKE 'x/_' || b ESCAPE '/'", r"SELECT a LIKE replace( 'x/_' || b, '/', '\')"),
        (
            "SELECT ARRAY(SELECT rolname FROM pg_roles ORDER BY 1)",
            "SELECT ( SELECT array_agg(rolnameORDER BY 1) FROM pg_catalog.pg_roles )",
        ),
        ("SELECT (SELECT d.adbin FROM pg_attrdef d WHERE d.adrelid = a.x)", "SELECT (NULL)"),
        ("SELECT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid)", "SELECT false"),
        ("SELECT (r.keys).n", "SELECT get_field((r.keys), 'n')"),
    ],
)
def test_what_only_postgres_knows_is_rewritten(sql: str, expected: str) -> None:
    assert "".join(rewritten(sql).split()) == "".join(expected.split())


@given(st.text(alphabet=st.sampled_from("ab1 .,()[]'\"$:;-/*\n") | st.characters()))
def test_no_text_is_lost_or_breaks_the_tokens(sql: str) -> None:
    assert text_of(nested(sql)) == sql
    rewritten(sql)


WORDS = "select from where ( ) [ ] :: . , as cast pg_class array exists 'x' $1 regclass like escape unnest a"


@given(st.lists(st.sampled_from(WORDS.split())))
def test_no_order_of_words_breaks_the_rewriting(words: list[str]) -> None:
    rewritten(" ".join(words))


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT relname, relkind FROM pg_class WHERE oid = 'state'::regclass", ["relname", "relkind"]),
        (
            "SELECT * FROM information_schema.schemata LIMIT 0",
            ["catalog_name", "schema_name", "schema_owner", "default_character_set_name"],
        ),
    ],
)
def test_the_catalogue_is_planned_without_reading_the_store(sql: str, names: list[str]) -> None:
    assert ENGINE.wanted_by(sql, (), POSTGRES) == {}
    assert ENGINE.plan(sql, (), POSTGRES, {}).schema.names == names
