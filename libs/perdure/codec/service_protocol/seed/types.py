"""Type codes of the seed era. Source: shared/spec/seed-era.md, 2.3 and 2.4."""

from typing import Final

from perdure.codec.service_protocol.entries.types import EntryType

PROTOCOL_VERSION: Final = 1
"""What the flags of the first frame say; SDKs refuse any other number."""

SIDE_EFFECT: Final = 0xFC01
COMBINATOR: Final = 0xFC02

NAMES: Final = {
    EntryType.START: "Start",
    EntryType.COMPLETION: "Completion",
    EntryType.SUSPENSION: "Suspension",
    EntryType.ERROR: "Error",
    EntryType.ENTRY_ACK: "EntryAck",
    EntryType.END: "End",
    EntryType.INPUT: "PollInputStream",
    EntryType.OUTPUT: "OutputStream",
    EntryType.GET_STATE: "GetState",
    EntryType.SET_STATE: "SetState",
    EntryType.CLEAR_STATE: "ClearState",
    EntryType.CLEAR_ALL_STATE: "ClearAllState",
    EntryType.GET_STATE_KEYS: "GetStateKeys",
    EntryType.SLEEP: "Sleep",
    EntryType.CALL: "Invoke",
    EntryType.ONE_WAY_CALL: "BackgroundInvoke",
    EntryType.AWAKEABLE: "Awakeable",
    EntryType.COMPLETE_AWAKEABLE: "CompleteAwakeable",
    SIDE_EFFECT: "SideEffect",
    COMBINATOR: "Combinator",
}
"""All type codes but for what other SDKs may keep in a journal."""


def name_of(code: int) -> str:
    """Return the name of a type code; hexadecimal where it has none."""
    return NAMES.get(code) or f"0x{code:04X}"
