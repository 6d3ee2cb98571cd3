"""Entries as JSON, against what restate-server 1.7.12 showed for the same ones."""

import json
from typing import Any

import pytest

from perdure.base.ids import parse_invocation_id
from perdure.model import journal as j
from perdure.model.deployment import Handler, Service
from perdure.model.result import Failure, InvocationIdResult, StateKeys, Success, Void
from perdure.model.target import HandlerType, ServiceType
from perdure.query.entry_json import entry_type, full_json, lite_json

CALLEE = "inv_11Iv81hX5xk31cVJkyPvdOXyBgDhv4duEx"
TARGET = {"VirtualObject": {"name": "Kit", "key": "third", "handler": "echo", "handler_ty": "Exclusive", "scope": None}}
NO_SPAN = {
    "span_context": {"trace_id": [0] * 16, "span_id": [0] * 8, "trace_flags": 0, "is_remote": False, "trace_state": ""},
    "cause": None,
}
SERVICES = {
    "Kit": Service("Kit", ServiceType.VIRTUAL_OBJECT, 1, "dp_1", {"echo": Handler("echo", HandlerType.EXCLUSIVE)}),
    "Wf": Service("Wf", ServiceType.WORKFLOW, 1, "dp_1", {"poke": Handler("poke", HandlerType.SHARED)}),
}
Kind = j.CompletionType


def completion(name: str, result: dict[str, Any], kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {"Notification": {"Completion": {name: {"completion_id": 4, **result}}}},
        {"Notification": {"ty": {"Completion": name}, "id": {"CompletionId": 4}, "result": kind}},
    )


def command(name: str, full: dict[str, Any], lite: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"Command": {name: full}}, {"Command": {name: lite}}


SHOWN: list[tuple[j.Entry, str, tuple[dict[str, Any], dict[str, Any]]]] = [
    (
        j.Input(b"z", (("x-h", "v"),)),
        "Command: Input",
        command("Input", {"headers": [{"name": "x-h", "value": "v"}], "payload": [122], "name": ""}, {}),
    ),
    (j.Output(Success(b"z")), "Command: Output", command("Output", {"result": {"Success": [122]}, "name": ""}, {"result": "Success"})),
    (
        j.SetState(b"name", b"z"),
        "Command: SetState",
        command("SetState", {"key": "name", "value": [122], "name": ""}, {"key": "name"}),
    ),
    (j.ClearAllState(), "Command: ClearAllState", command("ClearAllState", {"name": ""}, {})),
    (j.ClearState(b"k"), "Command: ClearState", command("ClearState", {"key": "k", "name": ""}, {"key": "k"})),
    (
        j.GetEagerState(b"lazy", Void()),
        "Command: GetEagerState",
        command("GetEagerState", {"key": "lazy", "result": "Void", "name": ""}, {"key": "lazy", "result": "Void"}),
    ),
    (
        j.GetEagerStateKeys((b"k", "é".encode())),
        "Command: GetEagerStateKeys",
        command("GetEagerStateKeys", {"state_keys": ["k", "é"], "name": ""}, {}),
    ),
    (
        j.GetLazyState(b"k", 4),
        "Command: GetLazyState",
        command("GetLazyState", {"key": "k", "completion_id": 4, "name": ""}, {"key": "k", "completion_id": 4}),
    ),
    (j.Run(1, "open"), "Command: Run", command("Run", {"completion_id": 1, "name": "open"}, {"completion_id": 1, "name": "open"})),
    (
        j.Sleep(1795555042986, 4, "nap"),
        "Command: Sleep",
        command(
            "Sleep",
            {"wake_up_time": 1795555042986, "completion_id": 4, "name": "nap"},
            {"wake_up_time": 1795555042986, "completion_id": 4, "name": "nap"},
        ),
    ),
    (
        j.GetPromise("p", 2),
        "Command: GetPromise",
        command("GetPromise", {"key": "p", "completion_id": 2, "name": ""}, {"key": "p", "completion_id": 2}),
    ),
    (
        j.CompletePromise("p", Success(b"z"), 1),
        "Command: CompletePromise",
        command(
            "CompletePromise", {"key": "p", "value": {"Success": [122]}, "completion_id": 1, "name": ""}, {"key": "p", "completion_id": 1}
        ),
    ),
    (
        j.CompleteAwakeable("sign_1a", Success(b"z")),
        "Command: CompleteAwakeable",
        command("CompleteAwakeable", {"id": "sign_1a", "result": {"Success": [122]}, "name": ""}, {"id": "sign_1a", "result": "Success"}),
    ),
    (
        j.SendSignal(CALLEE, 1, None, Void()),
        "Command: SendSignal",
        command(
            "SendSignal",
            {"target_invocation_id": CALLEE, "signal_id": {"Index": 1}, "result": "Void", "name": ""},
            {"target_invocation_id": CALLEE, "signal_id": {"Index": 1}, "result": "Void"},
        ),
    ),
    (
        j.AttachInvocation(j.InvocationTarget(CALLEE), 6),
        "Command: AttachInvocation",
        command(
            "AttachInvocation",
            {"target": {"InvocationId": CALLEE}, "completion_id": 6, "name": ""},
            {"target": {"InvocationId": CALLEE}, "completion_id": 6},
        ),
    ),
    (j.Completion(Kind.RUN, 4, Success(b"1")), "Notification: Run", completion("Run", {"result": {"Success": [49]}}, "Success")),
    (
        j.Completion(Kind.CALL, 4, Failure(422, "nope")),
        "Notification: Call",
        completion("Call", {"result": {"Failure": {"code": 422, "message": "nope"}}}, "Failure"),
    ),
    (j.Completion(Kind.SLEEP, 4, Void()), "Notification: Sleep", completion("Sleep", {}, "Void")),
    (j.Completion(Kind.PEEK_PROMISE, 4, Void()), "Notification: PeekPromise", completion("PeekPromise", {"result": "Void"}, "Void")),
    (
        j.Completion(Kind.CALL_INVOCATION_ID, 4, InvocationIdResult(CALLEE)),
        "Notification: CallInvocationId",
        completion("CallInvocationId", {"invocation_id": CALLEE}, "InvocationId"),
    ),
    (
        j.Completion(Kind.GET_LAZY_STATE_KEYS, 4, StateKeys((b"k",))),
        "Notification: GetLazyStateKeys",
        completion("GetLazyStateKeys", {"state_keys": ["k"]}, "StateKeys"),
    ),
    (
        j.Signal(17, None, Success(b"z")),
        "Notification: Signal",
        (
            {"Notification": {"Signal": {"id": {"Index": 17}, "result": {"Success": [122]}}}},
            {"Notification": {"ty": "Signal", "id": {"SignalIndex": 17}, "result": "Success"}},
        ),
    ),
]


@pytest.mark.parametrize(("entry", "kind", "shown"), SHOWN, ids=[kind for _, kind, _ in SHOWN])
def test_entries_are_shown_as_tools_read_them(entry: j.Entry, kind: str, shown: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert entry_type(entry) == kind
    assert (json.loads(full_json(entry, SERVICES.get)), json.loads(lite_json(entry, SERVICES.get))) == shown


def test_a_call_shows_whom_it_calls() -> None:
    callee = parse_invocation_id(CALLEE)
    entry = j.Call(
        j.CallTarget("Kit", "echo", "third"),
        b"z",
        (),
        7,
        8,
        callee_id=callee,
        completion_retention_ms=86_400_000,
        journal_retention_ms=1_500,
    )
    full = json.loads(full_json(entry, SERVICES.get))["Command"]["Call"]
    request = full.pop("request")
    assert full == {"invocation_id_completion_id": 7, "result_completion_id": 8, "name": ""}
    assert request.pop("idempotency_key") is None
    assert request == {
        "invocation_id": CALLEE,
        "invocation_target": TARGET,
        "span_context": NO_SPAN,
        "parameter": [122],
        "headers": [],
        "completion_retention_duration": {"secs": 86_400, "nanos": 0},
        "journal_retention_duration": {"secs": 1, "nanos": 500_000_000},
    }
    assert json.loads(lite_json(entry, SERVICES.get)) == {
        "Command": {
            "Call": {
                "invocation_id": CALLEE,
                "invocation_target": TARGET,
                "invocation_id_completion_id": 7,
                "result_completion_id": 8,
            }
        }
    }


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (j.CallTarget("Wf", "poke", "k"), {"Workflow": {"name": "Wf", "key": "k", "handler": "poke", "handler_ty": "Shared"}}),
        (j.CallTarget("Gone", "h", "k"), {"VirtualObject": {"name": "Gone", "key": "k", "handler": "h", "handler_ty": "Exclusive"}}),
        (j.CallTarget("Gone", "h", ""), {"Service": {"name": "Gone", "handler": "h"}}),
    ],
)
def test_the_registry_tells_what_kind_of_service_is_called(target: j.CallTarget, kind: dict[str, dict[str, Any]]) -> None:
    entry = j.OneWayCall(target, b"", (), 5, 7)
    shown = json.loads(lite_json(entry, SERVICES.get))["Command"]["OneWayCall"]
    [(name, parts)] = kind.items()
    assert shown == {
        "invocation_id": "",
        "invocation_target": {name: {**parts, "scope": None}},
        "invoke_time": 5,
        "invocation_id_completion_id": 7,
    }
