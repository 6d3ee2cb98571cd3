"""Which key two transactions met at: what the client says of it after a commit that conflicted.

Source: FoundationDB's documentation, Special keys (module `transaction/conflicting_keys`).
"""

from typing import Final

from perdure.store.fdb.binding import WANT_ALL, NativeTransaction
from perdure.store.keyspace import unpack

CONFLICTS: Final = b"\xff\xff/transaction/conflicting_keys/"
"""Begin and end of each range that conflicted: behind this prefix, with value 1 and 0."""
UNKNOWN: Final = "unknown"
_KIND_OF_PARTITION: Final = 3
_KIND: Final = 1


def conflicting_key(native: NativeTransaction, error: type[Exception]) -> bytes | None:
    """Return the first key that conflicted, before the transaction begins anew; None where the client does not tell."""
    try:
        pairs = native.get_range(CONFLICTS, CONFLICTS + b"\xff\xff", 1, False, WANT_ALL).to_list()
    except error:
        return None
    return pairs[0].key[len(CONFLICTS) :] if pairs else None


def kind_of_key(key: bytes | None) -> str:
    """Return the kind of a key, as the page of the store layout names it."""
    try:
        parts = unpack(key or b"")
        return str(parts[_KIND_OF_PARTITION if parts[_KIND] == "p" else _KIND])
    except (ValueError, IndexError):
        return UNKNOWN
