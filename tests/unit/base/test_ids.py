"""Identifiers. Source: shared/spec/lifecycle.md, sections 1.1 to 1.5; shared/spec/service-protocol.md, 5.7."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.base import ids

RAW_IDS = st.binary(min_size=24, max_size=24).map(ids.InvocationId)
U64_MAX = (1 << 64) - 1


@pytest.mark.parametrize(
    ("text", "partition_key", "uuid"),
    [
        ("inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N", "bd63cb11b3b330bd", "8784d599fe485aac677bb973eaf97181"),
        ("inv_1foAirY4KKzi3FyJqpVxiDUsWuxX3p32tU", "548ae3cba54055b3", "9e2bb335210f1b67f5eadac7026a9878"),
    ],
)
def test_ids_of_the_real_server_are_read_and_written(text: str, partition_key: str, uuid: str) -> None:
    raw = ids.parse_invocation_id(text)
    assert raw.hex() == partition_key + uuid
    assert ids.format_invocation_id(raw) == text


@given(RAW_IDS)
def test_an_invocation_id_survives_its_text(raw: ids.InvocationId) -> None:
    text = ids.format_invocation_id(raw)
    assert len(text) == 38
    assert ids.parse_invocation_id(text) == raw


@given(st.sampled_from(["dp", "sub", "snap"]), st.binary(min_size=16, max_size=16))
def test_a_resource_id_survives_its_text(prefix: str, raw: bytes) -> None:
    text = ids.format_resource_id(prefix, raw)
    assert len(text) == len(prefix) + 24
    assert ids.parse_resource_id(prefix, text) == raw


def test_a_deployment_id_of_the_real_server_is_read() -> None:
    assert ids.parse_resource_id("dp", "dp_11rRb1AyrT3xilKGPITJFcJ").hex() == "01a20afaafb7e34d7bf0f4ef1fba9e2f"


@given(RAW_IDS, st.integers(0, (1 << 32) - 1))
def test_an_awakeable_id_survives_its_text(raw: ids.InvocationId, signal: int) -> None:
    text = ids.format_awakeable_id(raw, signal)
    assert len(text) == 44
    assert ids.parse_awakeable_id(text) == (raw, signal)
    assert ids.parse_awakeable_id(text + "=" * (-(len(text) - 6) % 4)) == (raw, signal)


def test_the_awakeable_id_of_the_specification_is_written() -> None:
    raw = ids.InvocationId(bytes(range(1, 25)))
    assert ids.format_awakeable_id(raw, 17) == "sign_1AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYAAAAEQ"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad format"),
        ("inv1abc", "bad format"),
        ("xyz_1abc", "unrecognized resource type: xyz"),
        ("dp_11rRb1AyrT3xilKGPITJFcJ", "id doesn't match the expected type"),
        ("inv_2gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N", "unrecognized codec version"),
        ("dp_21rRb1AyrT3xilKGPITJFcJ", "unrecognized codec version"),
        ("inv_", "bad length"),
        ("inv_1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "base62 decode error"),
        ("inv_1", "bad length"),
        ("inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7", "bad length"),
        ("inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7NN", "bad length"),
        ("inv_1ZZZZZZZZZZZ3Wg62ENp11QEVhGegZNT7N", "base62 decode error"),
        ("inv_1gf3qgbvqBG-3Wg62ENp11QEVhGegZNT7N", "base62 decode error"),
    ],
)
def test_what_is_no_invocation_id_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ids.InvalidId) as refused:
        ids.parse_invocation_id(text)
    assert str(refused.value) == reason


@given(st.binary(min_size=24, max_size=24), st.integers(0, 2**28))
def test_an_old_awakeable_is_the_signal_of_its_entry(raw: bytes, index: int) -> None:
    old = "prom" + ids.format_awakeable_id(ids.InvocationId(raw), index).removeprefix("sign")
    assert ids.parse_awakeable_id(old) == (raw, index + ids.AWAKEABLE_OFFSET)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sign_1", "bad length"),
        ("prom_", "bad length"),
        ("prom_1AQID", "bad length"),
        ("sign_1AQID", "bad length"),
        ("sign_1" + "A" * 40, "bad length"),
        ("sign_2x", "unrecognized codec version"),
        ("sign_1x", "base62 decode error"),
        ("sign_1" + "A" * 37 + "!", "base62 decode error"),
        ("sign_1" + "A" * 37 + "+", "base62 decode error"),
        ("sign_1" + "A" * 37 + "B", "base62 decode error"),
        ("sign_1" + "é" * 38, "base62 decode error"),
    ],
)
def test_what_is_no_awakeable_id_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ids.InvalidId) as refused:
        ids.parse_awakeable_id(text)
    assert str(refused.value) == reason


@given(st.sampled_from(["", "inv_1", "dp_1", "sign_1"]), st.text())
def test_any_text_is_either_an_id_or_refused(head: str, rest: str) -> None:
    for parse in (ids.parse_invocation_id, lambda text: ids.parse_resource_id("dp", text), ids.parse_awakeable_id):
        with contextlib.suppress(ids.InvalidId):
            assert parse(head + rest)


def test_partition_keys_are_those_of_the_real_server() -> None:
    assert ids.partition_key_of_key("s1") == 0x82A4CDDF2F56BB74
    bucket = ids.bucket_of_idempotency_key("k1")
    assert ids.partition_key_of_bucket("Svc", bucket) == 0xBD63CB11B3B330BD


def test_an_idempotent_call_has_the_id_of_the_real_server() -> None:
    raw = ids.idempotent_invocation_id("Svc", None, "h", "k1")
    assert raw[:8].hex() == "bd63cb11b3b330bd"
    assert raw[8:] == hashlib.sha256(b"ik,Svc,h,k1").digest()[:16]


def test_scoped_invocations_have_the_ids_of_the_real_server() -> None:
    run = ids.scoped_workflow_invocation_id("s", "W", "k")
    assert ids.format_invocation_id(run) == "inv_11110Rzeqthr6iiIgdIhU9VDi41Jn1xWaN"
    unkeyed = ids.scoped_idempotent_invocation_id("s", "S", None, "h", "i")
    assert ids.format_invocation_id(unkeyed) == "inv_11110Rzeqthr5Optqn6pse0YBIGYufBI3g"
    keyed = ids.scoped_idempotent_invocation_id("s", "S", "k", "h", "i")
    assert ids.format_invocation_id(keyed) == "inv_11110Rzeqthr6Rhy9JUtzp3PSpzjVnd6Lq"


def test_uuids_hash_their_parts_in_order() -> None:
    assert ids.workflow_uuid("W", "k") == hashlib.sha256(b"wf,W,k").digest()[:16]
    assert ids.idempotent_uuid("O", "k", "h", "i") == hashlib.sha256(b"ik,O,k,h,i").digest()[:16]
    assert ids.idempotent_uuid("O", "", "h", "i") == hashlib.sha256(b"ik,O,,h,i").digest()[:16]


@given(st.text(), st.text(min_size=1), st.text())
def test_keyed_invocations_live_in_the_partition_of_their_key(service: str, handler: str, key: str) -> None:
    partition = ids.partition_of_key(key, 24)
    assert ids.partition_of(ids.workflow_invocation_id(service, key), 24) == partition
    assert ids.partition_of(ids.idempotent_invocation_id(service, key, handler, "i"), 24) == partition


@given(st.text(), st.integers(0, ids.SERVICE_BUCKETS - 1))
def test_buckets_have_partition_keys_of_64_bits(service: str, bucket: int) -> None:
    assert 0 <= ids.partition_key_of_bucket(service, bucket) <= U64_MAX


@given(st.integers(0, U64_MAX), st.integers(0, U64_MAX), st.integers(1, 4096))
def test_partitions_are_contiguous_ranges(a: int, b: int, partitions: int) -> None:
    low, high = (ids.partition_of(ids.invocation_id(key, bytes(16)), partitions) for key in sorted((a, b)))
    assert 0 <= low <= high < partitions


def test_partitions_are_equal_ranges_that_cover_all_keys() -> None:
    firsts = [-(-(number << 64) // 24) for number in range(24)]
    for number, first in enumerate(firsts):
        assert ids.partition_of(ids.invocation_id(first, bytes(16)), 24) == number
        if first:
            assert ids.partition_of(ids.invocation_id(first - 1, bytes(16)), 24) == number - 1
    assert ids.partition_of(ids.invocation_id(U64_MAX, bytes(16)), 24) == 23


@given(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_ulids_are_ordered_by_their_time(a: int, b: int, entropy: bytes) -> None:
    first, second = ids.ulid(a, entropy), ids.ulid(b, entropy)
    assert len(first) == 16
    assert (first < second) == (a < b)


def test_unkeyed_invocations_of_the_same_milliseconds_share_a_partition_key_and_grow_with_time() -> None:
    window_ms = 1_790_000_000_000 // 8 * 8
    first, second = (ids.fresh_invocation_id("Svc", None, window_ms + after_ms, bytes(10)) for after_ms in (0, 7))
    assert first[:8] == second[:8]
    assert first < second


def test_unkeyed_invocations_spread_over_the_buckets_of_their_service() -> None:
    keys = {ids.fresh_invocation_id("Svc", None, now_ms, bytes(10))[:8] for now_ms in range(0, 80_000, 8)}
    buckets = {ids.partition_key_of_bucket("Svc", bucket).to_bytes(8, "big") for bucket in range(ids.SERVICE_BUCKETS)}
    assert keys == buckets


def test_keyed_invocations_lie_with_their_key() -> None:
    fresh = ids.fresh_invocation_id("Svc", "k", 1_790_000_000_000, bytes(10))
    assert fresh[:8] == ids.partition_key_of_key("k").to_bytes(8, "big")
