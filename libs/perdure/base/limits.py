"""Named limits of queues, buffers, loops and retries, with their unit in the name."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MESSAGE_BYTES_MAX: Final = 32 * MIB
"""Largest body of a request and largest message of the service protocol. Source: shared/spec/ingress.md, section 20."""

VALUE_BYTES_MAX: Final = 90_000
"""Values above this are cut into chunks (FoundationDB refuses 100 kB). Source: architecture, The store."""

TRANSACTION_BYTES_MAX: Final = 4_000_000
"""What gathers is committed beyond this, in values."""

TRANSACTION_ROWS_MAX: Final = 6_000
"""The same in rows and records, which weigh less than a kilobyte each beside their values."""

COMMIT_BYTES_MAX: Final = 8_000_000
"""Of a batch above this, values are written ahead in transactions of their own (FoundationDB refuses 10 MB with keys and conflicts)."""

ROW_KEY_BYTES_MAX: Final = 9_900
"""Longest key of a row that a user's words are in, pieces of large values not included (FoundationDB refuses 10 kB)."""

OBJECT_KEY_BYTES_MAX: Final = 4_000
"""Longest key of an object or workflow, so that names of its state and promises fit into rows beside it."""

BUS_BODY_BYTES_MAX: Final = 512 * KIB
"""Bodies above this travel through the store as a blob: a NATS message holds 1 MiB by default, and a batch several commands."""

SCAN_ROWS_MAX: Final = 1_000
"""Rows that one page of a range read returns."""

PARTITIONS_DEFAULT: Final = 24
"""Partitions of a new store; fixed afterwards."""

INVOCATIONS_WAITING_MAX: Final = 100_000
"""Requests that one ingress process keeps waiting before it answers 429."""

REQUEST_BODIES_BYTES_MAX: Final = 256 * MIB
"""Bodies of requests that one ingress process holds in memory, those that are still coming in included, before it answers 429."""
