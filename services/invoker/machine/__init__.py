"""The partition state machine: events and time in, writes and effects out. No I/O, clock, randomness or asyncio."""
