"""Who owns which partition, by announcements and heartbeats."""

from perdure.bus.messages import VERSION, Announcement, Heartbeat
from perdure.bus.owners import Owners


def announcement(invoker_id: str, partitions: list[int], epoch: int) -> Announcement:
    return Announcement(VERSION, invoker_id, partitions, dict.fromkeys(partitions, epoch))


def heartbeat(invoker_id: str, partitions: list[int], *, is_leaving: bool = False) -> Heartbeat:
    return Heartbeat(VERSION, "invoker", invoker_id, "", "0", 0, partitions, is_leaving=is_leaving)


def test_nobody_owns_a_partition_at_first() -> None:
    assert Owners(2).owner_of(1) is None


def test_an_announcement_names_the_owner() -> None:
    owners = Owners(3)
    assert owners.announced(announcement("a", [0, 2], 1)) == [0, 2]
    assert [owners.owner_of(partition) for partition in range(3)] == ["a", None, "a"]


def test_the_generation_of_an_invoker_is_the_one_that_it_announced_last() -> None:
    owners = Owners(2)
    assert owners.generation_of("a") == -1
    for generation in (3, 4):
        owners.announced(Announcement(VERSION, "a", [0], {0: 1}, generation))
        assert owners.generation_of("a") == generation
    owners.forget("a")
    assert owners.generation_of("a") == -1


def test_a_repeated_announcement_changes_nothing() -> None:
    owners = Owners(1)
    owners.announced(announcement("a", [0], 1))
    assert owners.announced(announcement("a", [0], 1)) == []


def test_a_new_epoch_of_the_same_owner_is_a_change() -> None:
    owners = Owners(1)
    owners.announced(announcement("a", [0], 1))
    assert owners.announced(announcement("a", [0], 2)) == [0]


def test_an_older_epoch_is_ignored() -> None:
    owners = Owners(1)
    owners.announced(announcement("b", [0], 2))
    assert owners.announced(announcement("a", [0], 1)) == []
    assert owners.owner_of(0) == "b"


def test_an_older_epoch_is_ignored_even_when_the_owner_was_forgotten() -> None:
    owners = Owners(1)
    owners.announced(announcement("b", [0], 2))
    owners.forget("b")
    assert owners.announced(announcement("a", [0], 1)) == []
    assert owners.announced(announcement("b", [0], 2)) == [0]


def test_a_heartbeat_fills_gaps_only() -> None:
    owners = Owners(2)
    owners.announced(announcement("a", [0], 1))
    assert owners.beat(heartbeat("b", [0, 1])) == [1]
    assert (owners.owner_of(0), owners.owner_of(1)) == ("a", "b")


def test_whoever_refuses_a_partition_does_not_own_it_until_it_says_so_again() -> None:
    owners = Owners(2)
    owners.announced(announcement("a", [0, 1], 1))
    owners.disown(0, "b")
    assert owners.owner_of(0) == "a"
    owners.disown(0, "a")
    assert (owners.owner_of(0), owners.owner_of(1)) == (None, "a")
    assert owners.announced(announcement("a", [0], 1)) == [0]


def test_a_leaving_invoker_owns_nothing() -> None:
    owners = Owners(2)
    owners.announced(announcement("a", [0, 1], 1))
    assert owners.beat(heartbeat("a", [0, 1], is_leaving=True)) == []
    assert owners.owner_of(0) is None


def test_partitions_outside_the_known_ones_are_ignored() -> None:
    owners = Owners(2)
    assert owners.announced(announcement("a", [-1, 1, 2], 1)) == [1]
    assert owners.beat(heartbeat("a", [-1, 5])) == []
