from perdure.bus.messages import VERSION, Heartbeat, encode
from perdure.process.peers import Peers


class SteppedClock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


def a_heartbeat(process_id: str = "invoker-1", **options: object) -> bytes:
    fields = {"version": VERSION, "role": "invoker", "address": "", "software_version": "1", "started_at_ms": 0, **options}
    return encode(Heartbeat(process_id=process_id, **fields))  # type: ignore[arg-type]


def living(peers: Peers, role: str | None = None) -> list[str]:
    return [heartbeat.process_id for heartbeat in peers.alive(role)]


def test_a_process_lives_until_it_was_silent_for_three_seconds() -> None:
    clock = SteppedClock()
    peers = Peers(clock)
    peers.receive(a_heartbeat())
    clock.ms += 3_000
    assert living(peers) == ["invoker-1"]
    clock.ms += 1
    assert living(peers) == []
    assert peers.alive(now_ms=clock.ms - 1) != []


def test_processes_are_told_apart_by_role() -> None:
    peers = Peers(SteppedClock())
    peers.receive(a_heartbeat("invoker-1"))
    peers.receive(a_heartbeat("admin-1", role="admin"))
    assert living(peers) == ["admin-1", "invoker-1"]
    assert living(peers, "invoker") == ["invoker-1"]


def test_a_leaving_process_is_gone_at_once() -> None:
    peers = Peers(SteppedClock())
    peers.receive(a_heartbeat())
    peers.receive(a_heartbeat(is_leaving=True))
    assert living(peers) == []


def test_only_the_first_heartbeat_of_a_process_is_of_an_unknown_one() -> None:
    peers = Peers(SteppedClock())
    assert peers.receive(a_heartbeat())
    assert not peers.receive(a_heartbeat())
    assert not peers.receive(a_heartbeat("stranger", is_leaving=True))


def test_changes_are_told_and_repetitions_are_not() -> None:
    clock = SteppedClock()
    peers = Peers(clock)
    changes: list[list[str]] = []
    peers.on_change(lambda: changes.append(living(peers)))
    peers.receive(a_heartbeat())
    peers.receive(a_heartbeat(counters={"running": 1.0}))
    assert len(changes) == 1
    peers.receive(a_heartbeat(partitions=[1]))
    peers.receive(a_heartbeat(partitions=[1], is_ready=False))
    assert len(changes) == 3
    peers.receive(a_heartbeat(is_leaving=True))
    assert changes[-1] == []


def test_the_death_of_a_silent_process_is_told() -> None:
    clock = SteppedClock()
    peers = Peers(clock)
    peers.receive(a_heartbeat())
    changes: list[list[str]] = []
    peers.on_change(lambda: changes.append(living(peers)))
    for _ in range(4):
        clock.ms += 1_000
        peers.tick()
    assert changes == [[]]


def test_nobody_is_blamed_for_the_time_in_which_this_process_was_stopped() -> None:
    clock = SteppedClock()
    peers = Peers(clock)
    peers.receive(a_heartbeat())
    clock.ms += 60_000
    peers.tick()
    assert living(peers) == ["invoker-1"]


def test_a_clock_that_jumps_back_neither_kills_nor_keeps_alive() -> None:
    clock = SteppedClock()
    peers = Peers(clock)
    peers.receive(a_heartbeat())
    clock.ms -= 60_000
    peers.tick()
    assert living(peers) == ["invoker-1"]
    for _ in range(4):
        clock.ms += 1_000
        peers.tick()
    assert living(peers) == []


def test_what_is_no_heartbeat_or_a_newer_one_is_ignored() -> None:
    peers = Peers(SteppedClock())
    assert not peers.receive(b"\xc1")
    assert not peers.receive(a_heartbeat(version=VERSION + 1))
    assert living(peers) == []


def test_a_process_that_begins_to_drain_is_news() -> None:
    peers = Peers(SteppedClock())
    changes: list[list[bool]] = []
    peers.receive(a_heartbeat())
    peers.on_change(lambda: changes.append([each.is_draining for each in peers.alive()]))
    peers.receive(a_heartbeat(is_draining=True))
    peers.receive(a_heartbeat(is_draining=True))
    assert changes == [[True]]
