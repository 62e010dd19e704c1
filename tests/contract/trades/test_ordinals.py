"""Trades without an id: a moment is stored as a whole, or its file is refused."""

import random
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.errors import LoadError
from entasis_db.ingest import load_trades, replace_trades
from entasis_db.model import Trade
from tests import oracle
from tests.contract.trades.support import by_key, counts, everything, pipe_in, quarantined, write
from tests.db import Connection, KilledError, wipe
from tests.make import NOON, D, trade

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

SECOND = timedelta(seconds=1)


def at(second: int, price: str, volume: str = "1", symbol: str = "BTC") -> Trade:
    return trade(
        0, symbol=symbol, timestamp=NOON + second * SECOND, price=D(price), volume=D(volume)
    )


def numbered(trades: Sequence[Trade]) -> list[Trade]:
    """What is stored of a file: the id is the ordinal within the market and moment."""
    seen: dict[tuple[str, object], int] = {}
    found = []
    for t in trades:
        number = seen[t.symbol, t.timestamp] = seen.get((t.symbol, t.timestamp), -1) + 1
        found.append(t._replace(id=number))
    return found


PART_1 = [at(0, "104000.1"), at(0, "104000.1"), at(3, "104001.0", "0.1")]
PART_2 = [at(3, "104001.5", "0.2"), at(4, "104002.0")]


def load(connection: Connection, path: Path, trades: Sequence[Trade], **options: int) -> int:
    return load_trades(connection, write(path, *trades, ids=False), **options).report.inserted  # type: ignore[arg-type]


def refused(connection: Connection, path: Path, trades: Sequence[Trade], **options: int) -> str:
    before = everything(connection)
    with pytest.raises(LoadError) as caught:
        load(connection, path, trades, **options)
    assert everything(connection) == before
    return str(caught.value)


@pytest.mark.parametrize("batch_rows", [1, 2, 50_000])
def test_a_file_that_is_cut_within_a_moment(
    connection: Connection, tmp_path: Path, batch_rows: int
) -> None:
    path = tmp_path / "no_ids.csv"
    assert load(connection, path, PART_1, batch_rows=batch_rows) == 3
    said = refused(connection, path, PART_2, batch_rows=batch_rows)
    assert "no_ids.csv: at 2024-08-08T12:00:03 UTC" in said
    assert "x BTC" in said
    assert "1 (price x volume: 104001.5 x 0.2)" in said
    assert "1 (price x volume: 104001.0 x 0.1)" in said
    assert "nothing of the file is stored" in said
    assert load(connection, path, PART_1, batch_rows=batch_rows) == 0
    # what the error says: the whole, or a range
    assert load(connection, path, [*PART_1, *PART_2], batch_rows=batch_rows) == 2
    oracle.assert_candles_are_right(connection, by_key(*numbered([*PART_1, *PART_2])))
    assert quarantined(connection) == []


def test_the_pieces_in_the_other_order(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "no_ids.csv"
    assert load(connection, path, PART_2) == 2
    assert "12:00:03 UTC" in refused(connection, path, PART_1)
    write(path, *PART_1, *PART_2, ids=False)
    span = {"from_time": NOON, "to_time": NOON + 5 * SECOND}
    assert counts(replace_trades(connection, path, **span)) == (3, 1, 0, 1)
    oracle.assert_candles_are_right(connection, by_key(*numbered([*PART_1, *PART_2])))


@pytest.mark.parametrize("batch_rows", [2, 100])
def test_the_whole_file_after_its_second_piece(
    connection: Connection, tmp_path: Path, batch_rows: int
) -> None:
    """What is counted otherwise there is not at an edge of the file: no trade is stored twice."""
    load(connection, tmp_path / "no_ids_part2.csv", PART_2)
    whole = [*PART_1, at(3, "104001.5", "0.2"), at(3, "104009"), at(4, "104002.0")]
    for inserted in (2, 0):
        assert load(connection, tmp_path / "no_ids.csv", whole, batch_rows=batch_rows) == inserted
    trades = by_key(*numbered([*PART_1[:2], *PART_2]))
    oracle.assert_candles_are_right(connection, trades)
    assert quarantined(connection) == [("no_ids.csv", line, "conflict") for line in (4, 5, 6)]


SECOND_FILES = {
    "the same and one more": [PART_1[2], at(3, "5"), at(9, "1")],
    "the same again": [PART_1[2], PART_1[2], at(9, "1")],
    "fewer": [PART_1[1], at(9, "1")],
    "another order": [at(-1, "1"), at(-1, "2"), at(9, "1")],
    "the last": [at(-9, "1"), at(0, "104000.1")],
    "the only moment": [at(3, "5")],
    "another volume": [at(3, "104001.0", "0.2"), at(9, "1")],
    "not in the order of time": [at(9, "1"), at(3, "5"), at(4, "1")],
}


@pytest.mark.parametrize("case", SECOND_FILES)
def test_another_group_of_that_moment(connection: Connection, tmp_path: Path, case: str) -> None:
    load(connection, tmp_path / "a.csv", [*PART_1, at(-1, "2"), at(-1, "1")])
    refused(connection, tmp_path / "b.csv", SECOND_FILES[case], batch_rows=1)


def test_files_that_meet_at_whole_moments(connection: Connection, tmp_path: Path) -> None:
    """One after the other, overlapping, and each with a market of its own besides."""
    eth = [at(second, "7", symbol="ETH") for second in range(4)]
    first, second = [*PART_1, *eth], [PART_1[2], *PART_2[1:], *eth[3:]]
    assert load(connection, tmp_path / "a.csv", first, batch_rows=2) == 7
    assert load(connection, tmp_path / "b.csv", second, batch_rows=2) == 1
    assert load(connection, tmp_path / "a.csv", first) == 0
    now = [*PART_1, PART_2[1], *eth]
    oracle.assert_candles_are_right(connection, by_key(*numbered(now)))


def test_a_combo_whose_moment_goes_on_below_zero(connection: Connection, tmp_path: Path) -> None:
    combo = "BTC-FS-27JUN25_PERP"
    for market, price in ((combo, "-12.5"), (combo, "0"), ("ETH", "-12.5")):
        wipe(connection)
        begins = [at(0, "1", symbol=market)._replace(exchange="deribit")]
        load(connection, tmp_path / "a.csv", begins)
        whole = [*begins, begins[0]._replace(price=D(price))]
        if market == combo:
            assert combo in refused(connection, tmp_path / "b.csv", whole)
        else:  # a line that is not stored does not matter
            assert load(connection, tmp_path / "b.csv", whole) == 0


def test_one_market_of_several(connection: Connection, tmp_path: Path) -> None:
    load(connection, tmp_path / "a.csv", [at(5, "1", symbol="ETH"), *PART_1])
    told = [at(6, "1"), at(5, "2", symbol="ETH"), at(7, "1")]
    assert "x ETH" in refused(connection, tmp_path / "b.csv", told, batch_rows=1)


def test_lines_that_are_not_stored_do_not_matter(connection: Connection, tmp_path: Path) -> None:
    """They are mended one day, and the file is loaded again."""
    path = write(tmp_path / "a.csv", *(at(0, str(n)) for n in range(1, 5)), at(1, "1"), ids=False)
    good = path.read_text()
    path.write_text(good.replace(",2,1,", ",oops,1,").replace(",4,1,", ",0,1,"))
    for inserted in (3, 0):
        assert load_trades(connection, path).report.inserted == inserted
    path.write_text(good.replace(",4,1,", ",0,1,"))
    assert load_trades(connection, path).report.inserted == 1


def test_a_time_that_cannot_be_is_no_edge(connection: Connection, tmp_path: Path) -> None:
    load(connection, tmp_path / "a.csv", PART_1)
    odd = [at(-(10**9), "1"), at(10**10, "1")]
    assert "12:00:03" in refused(connection, tmp_path / "b.csv", [*odd, *PART_2], batch_rows=1)


def test_ids_are_not_counted(connection: Connection, tmp_path: Path) -> None:
    """Trades of one moment with ids of their own may come in any number of files."""
    for number in range(3):
        path = write(tmp_path / "a.csv", at(3, str(number + 1))._replace(id=number))
        assert load_trades(connection, path).report.inserted == 1


@pytest.mark.parametrize("batch_rows", [1, 2, 50_000])
def test_a_pipe(
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch_rows: int,
) -> None:
    def pipe(*trades: Trade) -> int:
        pipe_in(monkeypatch, write(tmp_path / "a.csv", *trades, ids=False))
        return load_trades(connection, "-", batch_rows=batch_rows).report.inserted

    eth = [at(0, "7", symbol="ETH"), at(0, "8", symbol="ETH")]
    first = [eth[0], *PART_1[:2], eth[1], PART_1[2]]
    assert pipe(*first) == 5
    assert pipe(*first) == 0
    with pytest.raises(LoadError, match="standard input: at 2024-08-08T12:00:03"):
        pipe(*PART_2)
    with pytest.raises(LoadError, match="standard input: at 2024-08-08T12:00:00"):
        pipe(at(-9, "1"), PART_1[0])
    with pytest.raises(LoadError, match="x ETH"):
        pipe(at(-8, "1"), at(-7, "7", symbol="ETH"), eth[0], at(8, "1"), at(9, "1"))
    stored = oracle.stored_trades(connection)
    assert {k: stored[k] for k in by_key(*numbered(first))} == by_key(*numbered(first))
    assert quarantined(connection) == []


groups = st.lists(st.integers(1, 3), min_size=1, max_size=4)


@given(sizes=groups, batch_rows=st.integers(1, 4), kill_after=st.integers(1, 4), data=st.data())
def test_a_load_that_is_stopped_is_repeated(
    shared_connection: Connection,
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    batch_rows: int,
    kill_after: int,
    data: st.DataObject,
) -> None:
    connection = shared_connection
    wipe(connection)
    trades = [at(n, str(i + 1)) for n, size in enumerate(sizes) for i in range(size)]
    for symbol in ("ETH", "SOL"):
        other = [t._replace(symbol=symbol) for t in trades]
        trades = data.draw(st.sampled_from([trades + other, other + trades]))
    # markets in turn, each in its own order of time
    chance = random.Random(data.draw(st.integers(0, 5)))
    queues = {s: [t for t in trades if t.symbol == s] for s in ("BTC", "ETH", "SOL")}
    mixed = [queues[s].pop(0) for s in chance.sample([t.symbol for t in trades], len(trades))]
    path = tmp_path_factory.mktemp("files") / "a.csv"
    batches = 0

    def stop(_: object) -> None:
        nonlocal batches
        batches += 1
        if batches == kill_after:
            raise KilledError

    write(path, *mixed, ids=False)
    with suppress(KilledError):
        load_trades(connection, path, batch_rows=batch_rows, progress=stop)
    load(connection, path, mixed, batch_rows=batch_rows)
    assert oracle.stored_trades(connection) == by_key(*numbered(mixed))
    assert load(connection, path, mixed) == 0
    assert quarantined(connection) == []


def test_the_error_is_one_that_can_be_followed(connection: Connection, tmp_path: Path) -> None:
    load(connection, tmp_path / "a.csv", PART_1)
    said = refused(connection, tmp_path / "b.csv", PART_2)
    found = re.search(r"--replace --from (\S+) or earlier --to (\S+) or later", said)
    assert found
    assert found.groups() == ("2024-08-08T12:00:03", "2024-08-08T12:00:03.000001")
