"""Places in the WAL, names of servers, and which server is believed: without a server."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from entasis_db.replicas.hosts import hosts_of
from entasis_db.replicas.positions import Position, State, state_of
from entasis_db.replicas.servers import Server, Servers, WrongServerError

SEGMENT, BLOCK = 2**24, 8192


def primary(lsn: str, timeline: int = 1) -> Position:
    row = (False, False, 7, None, f"{timeline:08X}{5:016X}", lsn, BLOCK, SEGMENT)
    return state_of(0.0, row).position


def said(system: int, timeline: int, lsn: int, *, replica: bool = False, at: float = 0.0) -> State:
    return State(at, replica, False, Position(system, timeline, lsn))


def test_a_place_of_another_timeline_or_system_is_never_ahead() -> None:
    place = Position(7, 2, 100)
    assert place.covers(Position(7, 2, 100))
    assert not place.covers(Position(7, 2, 101))
    assert not Position(7, 1, 1000).covers(place)
    assert not Position(7, 3, 1000).covers(place)
    assert not Position(8, 2, 1000).covers(place)


def test_a_place_as_text() -> None:
    place = Position(7660123456789012345, 18, 0x16_B374_D848)
    assert Position.parse(str(place)) == place
    for text in (
        "",
        "1.2",
        "1.2.3.4",
        "x.1.1",
        "1.1.g",
        "1." + "1" * 9 + ".1",
        "1.1.1\n",
        " 1.1.1",
    ):
        with pytest.raises(ValueError, match="no position"):
            Position.parse(text)


@pytest.mark.parametrize(
    ("insert", "end"),
    [
        ("1/5000028", 0x1_0500_0000),  # behind the long header of a segment
        ("1/5002018", 0x1_0500_2000),  # behind the short one of a page
        ("1/5002028", 0x1_0500_2028),
        ("0/5000018", 0x500_0018 - 24),
        ("1/5002020", 0x1_0500_2020),
    ],
)
def test_a_header_that_nothing_follows_is_not_waited_for(insert: str, end: int) -> None:
    assert primary(insert).lsn == end


def test_servers_are_taken_apart() -> None:
    found = hosts_of("postgresql://u:p%40@a:1,b,c:3/entasis?target_session_attrs=read-write")
    assert list(found) == ["a:1", "b:5432", "c:3"]
    parts = conninfo_to_dict(found["a:1"])
    assert (parts["host"], parts["port"], parts["password"]) == ("a", "1", "p@")
    assert "target_session_attrs" not in parts
    assert parts["load_balance_hosts"] == "random"
    assert list(hosts_of("host=a,b port=9 hostaddr=10.0.0.1,10.0.0.2")) == ["a:9", "b:9"]
    assert list(hosts_of("dbname=x")) == ["localhost:5432"]
    for wrong in ("host=a,b port=1,2,3", "postgresql://u:secret/word@a:b:c/", "secret"):
        with pytest.raises(ValueError, match=r"understood|servers are named") as caught:
            hosts_of(wrong)
        assert "secret" not in str(caught.value)


def test_who_was_promoted_last_is_the_primary() -> None:
    a, b = Server("a", ""), Server("b", "")
    servers = Servers([a, b])
    servers.note(a, said(7, 1, 500, at=1))
    servers.note(b, said(7, 1, 400, replica=True))
    assert servers.primary is a
    assert servers.rotation([]) == [b]
    # its places of another timeline are forgotten with it
    servers.note(b, said(7, 2, 450, at=2))
    assert servers.primary is b
    assert servers.sample(0) == Position(7, 2, 450)
    with pytest.raises(WrongServerError, match="stop it"):
        servers.note(a, said(7, 1, 900, at=3))
    assert servers.primary is b
    with pytest.raises(WrongServerError, match="another database system"):
        servers.note(a, said(8, 9, 900, replica=True))
    servers.note(b, said(7, 2, 450, replica=True))
    assert servers.primary is None


def test_the_first_place_that_is_young_enough_will_do() -> None:
    a = Server("a", "")
    servers = Servers([a])
    for moment in range(1, 5):
        servers.note(a, said(7, 1, 100 * moment, at=moment))
    assert servers.sample(2) == Position(7, 1, 200)
    assert servers.sample(2.5) == Position(7, 1, 300)
    assert servers.sample(5) is None
