"""From paths to routes; expectations were compared with the real server."""

import pytest

from perdure.base.ids import idempotent_invocation_id, parse_invocation_id, workflow_invocation_id
from services.ingress.refusals import Refused
from services.ingress.routes import Call, CompleteAwakeable, Health, Lookup, Wait, WaitByBody, decode_key, normalise, route_of
from tests.unit.ingress.builders import a_directory

DIRECTORY = a_directory()
ID = "inv_1gf3qgbvqBGZ3Wg62ENp11QEVhGegZNT7N"
SHORT = "bad path, expected either /:service-name/:handler or"
LONG = "bad path, expected /restate/call/:service/:handler"
AWAKEABLE = "bad path, expected either /restate/awakeables/:id/resolve"
INVOCATION = "bad path, expected either /restate/invocation/:invocation_id/output"
WORKFLOW = "bad path, expected either /restate/workflow/:workflow_name"

CALLS = {
    "/Svc/echo": ("Svc", "echo", None, False),
    "http://a:80/Svc/echo": ("Svc", "echo", None, False),
    "//Svc/echo/": ("Svc", "echo", None, False),
    "/Svc/echo//": ("Svc", "echo", None, False),
    "/Svc/echo/send": ("Svc", "echo", None, True),
    "/Obj/k/add": ("Obj", "add", "k", False),
    "/Obj/k/add/send": ("Obj", "add", "k", True),
    "/Obj//add": ("Obj", "add", "", False),
    "/Obj/send/add": ("Obj", "add", "send", False),
    "/Obj/a+b/add": ("Obj", "add", "a+b", False),
    "/Obj/%2F/add": ("Obj", "add", "/", False),
    "/Obj/%2f/add": ("Obj", "add", "/", False),
    "/Obj/%2/add": ("Obj", "add", "%2", False),
    "/Obj/%zz/add": ("Obj", "add", "%zz", False),
    "/Obj/%252F/add": ("Obj", "add", "%2F", False),
    "/Obj/%c3%a4/add": ("Obj", "add", "ä", False),
    "/Wf/k/run": ("Wf", "run", "k", False),
    "/Wf/k/run/send": ("Wf", "run", "k", True),
    "/restate/call/Svc/echo": ("Svc", "echo", None, False),
    "/restate/call/Svc/echo/": ("Svc", "echo", None, False),
    "/restate/send/Svc/echo": ("Svc", "echo", None, True),
    "/restate/call/Obj/k%20/add": ("Obj", "add", "k ", False),
    "/restate/send/Obj/k/add": ("Obj", "add", "k", True),
}
REFUSALS = {
    "*": (400, "bad path: *"),
    "http://a": (400, "bad path: /"),
    "Svc/echo": (400, "bad path: Svc/echo"),
    "/": (400, "bad path: /"),
    "//": (400, "bad path: /"),
    "/Svc": (400, "bad path: /Svc"),
    "/Svc/": (400, "bad path: /Svc"),
    "/restate": (400, "bad path: /restate"),
    "/openapi": (400, "bad path: /openapi"),
    "/a/b/c/d/e/f/g/h": (400, "bad path: /a/b/c/d/e/f/g/h"),
    "/a/b/c/d/e/f/g": (404, "service 'a' not found, make sure to register the service before calling it."),
    "/openapi/x": (404, "not found"),
    "/openapi/x/y/z": (404, "not found"),
    "/Nope/x": (404, "service 'Nope' not found"),
    "/svc/echo": (404, "service 'svc' not found"),
    "/S%76c/echo": (404, "service 'S%76c' not found"),
    "/Svc/nope": (404, "the service 'Svc' exists, but the handler 'nope' was not found, check that the handler exists"),
    "/Svc/ech%6F": (404, "the service 'Svc' exists, but the handler 'ech%6F' was not found"),
    "/Svc/nope/foo": (400, SHORT),
    "/Svc/echo/foo": (400, SHORT),
    "/Svc/echo/send/x": (400, SHORT),
    "/Svc//echo": (400, SHORT),
    "/Obj/k": (400, SHORT),
    "/Obj/k/add/x": (400, SHORT),
    "/Obj/k/nope": (404, "the service 'Obj' exists, but the handler 'nope' was not found"),
    "/Obj/%ff/add": (
        400,
        "bad path, cannot decode key: FromUtf8Error { bytes: [255], error: Utf8Error { valid_up_to: 0, error_len: Some(1) } }",
    ),
    "/Obj/a%c3/nope": (
        400,
        "bad path, cannot decode key: FromUtf8Error { bytes: [97, 195], error: Utf8Error { valid_up_to: 1, error_len: None } }",
    ),
    "/restate/call": (400, LONG),
    "/restate/call/Svc": (400, LONG),
    "/restate/call/Svc/echo/x": (400, LONG),
    "/restate/call/Svc/echo/send": (400, LONG),
    "/restate/call/Nope/x": (404, "service 'Nope' not found"),
    "/restate/call/Svc/nope": (404, "the service 'Svc' exists"),
    "/restate/send/Obj/k": (400, LONG),
    "/restate/scope/s": (400, LONG),
    "/restate/scope/s/call": (400, LONG),
    "/restate/scope/s/foo/Svc/echo": (400, LONG),
    "/restate/scope/%ff/call/Svc/echo": (400, "bad path, cannot decode key"),
    "/restate/attach/a/b": (400, LONG),
    "/restate/lookup/x": (400, LONG),
    "/restate/attach/xx": (400, "bad invocation id 'xx': bad format"),
    "/restate/attach/inv_1gf3": (400, "bad invocation id 'inv_1gf3': bad length"),
    "/restate/output/inv_2gf3": (400, "bad invocation id 'inv_2gf3': unrecognized codec version"),
    "/restate/output/dp_1gf3": (400, "bad invocation id 'dp_1gf3': id doesn't match the expected type"),
    "/restate/output/xx_1gf3": (400, "bad invocation id 'xx_1gf3': unrecognized resource type: xx"),
    "/restate/nope": (404, "not found"),
    "/restate/cancel/x": (404, "not found"),
    "/restate/signals/x": (404, "not found"),
    "/restate/invocation": (400, INVOCATION),
    "/restate/invocation/x": (400, INVOCATION),
    "/restate/invocation/foo/output": (400, "bad invocation id 'foo': bad format"),
    f"/restate/invocation/{ID}/cancel": (404, "not found"),
    "/restate/invocation/Nope/h/k/output": (404, "service 'Nope' not found"),
    "/restate/invocation/Svc/h/k": (400, INVOCATION),
    "/restate/invocation/Svc/h/k/foo": (404, "not found"),
    "/restate/invocation/Obj/k/h/output": (400, INVOCATION),
    "/restate/workflow/Wf/k": (400, WORKFLOW),
    "/restate/workflow/Wf/k/foo": (404, "not found"),
    "/restate/awakeables": (400, AWAKEABLE),
    "/restate/awakeables/x": (400, AWAKEABLE),
    "/restate/a/x/y": (404, "not found"),
}
WAITS = {
    f"/restate/attach/{ID}": (parse_invocation_id(ID), True, False),
    f"/restate/output/{ID}": (parse_invocation_id(ID), False, False),
    f"/restate/invocation/{ID}/attach": (parse_invocation_id(ID), True, False),
    f"/restate/invocation/{ID}/output": (parse_invocation_id(ID), False, False),
    "/restate/invocation/Svc/echo/k1/output": (idempotent_invocation_id("Svc", None, "echo", "k1"), False, True),
    "/restate/invocation/Svc/echo/k1/output/more": (idempotent_invocation_id("Svc", None, "echo", "k1"), False, True),
    "/restate/invocation/Svc/echo/k%201/attach": (idempotent_invocation_id("Svc", None, "echo", "k%201"), True, True),
    "/restate/invocation/Obj/k%20/add/i/attach": (idempotent_invocation_id("Obj", "k ", "add", "i"), True, True),
    "/restate/workflow/Wf/a%2Fb/attach": (workflow_invocation_id("Wf", "a/b"), True, True),
    "/restate/workflow/Wf/k/output/more": (workflow_invocation_id("Wf", "k"), False, True),
}


@pytest.mark.parametrize(("path", "expected"), CALLS.items())
def test_a_path_calls_a_handler(path: str, expected: tuple[str, str, str | None, bool]) -> None:
    route = route_of(normalise(path.encode()), DIRECTORY)
    assert isinstance(route, Call)
    assert (route.entry.service, route.entry.handler, route.key, route.is_send) == expected


@pytest.mark.parametrize(("path", "expected"), REFUSALS.items())
def test_a_path_is_refused(path: str, expected: tuple[int, str]) -> None:
    status, message = expected
    with pytest.raises(Refused) as refused:
        route_of(normalise(path.encode()), DIRECTORY)
    assert refused.value.status == status
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize(("path", "expected"), WAITS.items())
def test_a_path_waits_for_an_invocation(path: str, expected: tuple[bytes, bool, bool]) -> None:
    route = route_of(path.encode(), DIRECTORY)
    assert isinstance(route, Wait)
    assert (route.invocation_id, route.is_attach, route.names_handler) == expected


def test_the_handler_of_an_idempotent_invocation_may_be_gone() -> None:
    route = route_of(b"/restate/invocation/Svc/gone/k1/output", DIRECTORY)
    assert isinstance(route, Wait)
    assert route.entry is None


def test_a_workflow_that_is_not_registered_can_be_waited_for() -> None:
    assert route_of(b"/restate/workflow/Nope/k/output", DIRECTORY) == Wait(
        workflow_invocation_id("Nope", "k"), False, None, names_handler=True
    )


def test_the_other_routes_are_recognised() -> None:
    assert route_of(b"/restate/attach", DIRECTORY) == WaitByBody(True)
    assert route_of(b"/restate/output", DIRECTORY) == WaitByBody(False)
    assert route_of(b"/restate/lookup", DIRECTORY) == Lookup()
    assert route_of(b"/restate/health", DIRECTORY) == Health()
    assert route_of(b"/restate/health/x", DIRECTORY) == Health()
    assert route_of(b"/restate/awakeables/sign_1x/resolve", DIRECTORY) == CompleteAwakeable("sign_1x", True)
    assert route_of(b"/restate/a/sign_1x/reject", DIRECTORY) == CompleteAwakeable("sign_1x", False)


def test_a_scope_is_carried_to_admission() -> None:
    route = route_of(b"/restate/scope/a%2Db/send/Obj/k/add", DIRECTORY)
    assert isinstance(route, Call)
    assert (route.scope, route.key, route.is_send) == ("a-b", "k", True)


def test_inner_slashes_stay() -> None:
    assert normalise(b"///a//b///") == b"/a//b"
    assert normalise(b"/a//b") == b"/a//b"


def test_a_plus_in_a_key_is_no_blank() -> None:
    assert decode_key(b"a+b%20c") == "a+b c"
