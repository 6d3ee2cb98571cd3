"""How journal events show in SQL."""

import json

from perdure.model.journal import AttemptError, EventType, JournalEvent
from perdure.query.events import event_json

ERROR = AttemptError(500, "broken", "RT0007", related_command_index=2, related_command_name="charge", related_command_type="Run")
TOLD = {
    "error_code": 500,
    "error_message": "broken",
    "restate_doc_error_code": "RT0007",
    "related_command_index": 2,
    "related_command_name": "charge",
    "related_command_type": "Run",
}


def test_a_failed_attempt_tells_its_error() -> None:
    assert json.loads(event_json(JournalEvent(EventType.TRANSIENT_ERROR, 1, 0, ERROR))) == {"ty": "TransientError", **TOLD}


def test_a_pause_tells_the_last_failure_if_there_was_one() -> None:
    assert json.loads(event_json(JournalEvent(EventType.PAUSED, 1, 0, ERROR))) == {"ty": "Paused", "last_failure": TOLD}
    assert json.loads(event_json(JournalEvent(EventType.PAUSED, 1, 0))) == {"ty": "Paused"}
