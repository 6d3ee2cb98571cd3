"""What a check finds."""

import enum
from collections.abc import Iterable

import msgspec


class Damage(enum.StrEnum):
    """Kinds of damage. Each breaks a rule that every commit keeps; a page of the docs tells them apart."""

    UNKNOWN_KEY = "unknown_key"
    UNREADABLE = "unreadable"
    PIECES_MISSING = "pieces_missing"
    WRONG_PARTITION = "wrong_partition"
    WRONG_STATUS = "wrong_status"
    DOUBLE_RECORD = "double_record"
    JOURNAL_GAP = "journal_gap"
    JOURNAL_ORPHAN = "journal_orphan"
    LOCK_WRONG = "lock_wrong"
    LOCK_MISSING = "lock_missing"
    INBOX_WRONG = "inbox_wrong"
    TIMER_MISSING = "timer_missing"
    COUNT_WRONG = "count_wrong"
    MAIL_BODY_WRONG = "mail_body_wrong"
    REGISTRY_BROKEN = "registry_broken"


class Finding(msgspec.Struct, frozen=True, order=True):
    """One place where a store breaks a rule. `place` names the row, `message` says what is wrong there."""

    damage: Damage
    place: str
    message: str


def in_both(first: Iterable[Finding], second: Iterable[Finding]) -> list[Finding]:
    """Return what two passes found alike at the same place: a store in use changes between the reads of one pass."""
    places = {(finding.damage, finding.place) for finding in first}
    return sorted(finding for finding in second if (finding.damage, finding.place) in places)
