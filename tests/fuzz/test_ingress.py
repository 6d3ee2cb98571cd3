"""Whatever bytes stand in a request's path, query and headers: the ingress admits the request or refuses it with a status of its own."""

import contextlib
import random
import resource
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.bus.messages import Invoke, OwnerRequests, decoder_of, encode
from services.ingress.admission import admit, check_callable, check_scope, read_headers
from services.ingress.bodies import target_of
from services.ingress.refusals import Refused
from services.ingress.routes import Call, normalise, route_of
from tests.unit.ingress.builders import NOW_MS, CountingRandom, a_directory

BATCH: Final = 300
EXAMPLES: Final = 100
GROWTH_KIB_MAX: Final = 32 * 1024

DIRECTORY: Final = a_directory()
SEGMENTS: Final = [
    *(b"Svc Obj Wf echo add run send call restate scope attach output lookup invocation workflow awakeables a resolve reject".split()),
    *(b"health openapi k %2F %ff % %2 %C3%A4 \xc3\xa4 \xff * .. inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N sign_1AAAA prom_1!".split()),
    b"",
]
QUERIES: Final = [b"", b"delay=1s", b"delay=PT1H", b"delay=%ff", b"delay", b"limit-key=a/b/c", b"x=\xff&&=", b"delay=" + b"9" * 400 + b"d"]
HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-type", b"\xff"),
    (b"content-type", b"*/*"),
    (b"idempotency-key", b""),
    (b"idempotency-key", b"\xc3\xa4"),
    (b"x-restate-limit-key", b"a//"),
    (b"traceparent", b"00-x"),
    (b"x-a", b"\x00\xff"),
]
BODIES: Final = [
    b"",
    b'"a"',
    b'{"target":"workflow","workflowName":"Wf","workflowKey":"k","scope":"s"}',
    b'{"target":"idempotentInvocation","service":"Svc","handler":"echo","idempotencyKey":"i"}',
    b'{"target":"invocation","invocationId":"inv_1"}',
    b"[" * 5_000,
]
_requests: Final = decoder_of(OwnerRequests)


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return bytes that are mostly as they were."""
    changed = bytearray(data)
    for _ in range(dice.choice((0, 0, 1, 3))):
        at = dice.randrange(len(changed) + 1)
        if dice.random() < 0.5:
            changed[at:at] = dice.randbytes(dice.randrange(4))
        else:
            del changed[at : at + dice.randrange(4)]
    return bytes(changed)


def a_path(dice: random.Random) -> bytes:
    path = b"/".join([b"", *dice.choices(SEGMENTS, k=dice.randrange(9))])
    return damaged(dice.choice((path, b"/Svc/echo", b"/Obj/k/add/send", b"/restate/call/Wf/k/run")), dice)


def ask(dice: random.Random) -> None:
    """Do with a request what the ingress does before it asks an owner."""
    path, query, body = normalise(a_path(dice)), damaged(dice.choice(QUERIES), dice), damaged(dice.choice(BODIES), dice)
    route = route_of(path, DIRECTORY)
    if not isinstance(route, Call):
        target_of(body, DIRECTORY)
        return
    check_callable(route.entry)
    headers = read_headers([(name, damaged(value, dice)) for name, value in dice.choices(HEADERS, k=dice.randrange(4))], route.entry)
    check_scope(route)
    invoke = admit(route, headers, body, path, query, now_ms=NOW_MS, random=CountingRandom(), request_id=1)
    (sent,) = _requests.decode(encode(OwnerRequests(1, "reply", [invoke]))).requests
    assert isinstance(sent, Invoke)
    assert sent == invoke


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_request_is_admitted_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(BATCH):
        with contextlib.suppress(Refused):
            ask(dice)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < GROWTH_KIB_MAX


def test_many_damaged_requests_are_admitted() -> None:
    """The other test would show nothing if all of them were refused."""
    dice, admitted = random.Random(1), 0
    for _ in range(2_000):
        with contextlib.suppress(Refused):
            ask(dice)
            admitted += 1
    assert admitted > 20
