"""Real market data: the exchanges' own candles are the oracle, and every row is accounted for."""

import csv
import gzip
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import MAX_PREC, Decimal, localcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entasis_db import queries
from entasis_db.exchange_candles import check_exchange_candles, write_exchange_candles
from entasis_db.ingest import (
    IngestReport,
    Loaded,
    ingest_trades,
    load_options,
    load_trades,
    retrying,
)
from entasis_db.model import ExchangeCandle
from entasis_db.readers import TradeRow, read_trades
from tests import oracle
from tests.engines import Database, Server

pytestmark = [
    pytest.mark.samples,
    pytest.mark.copy,
    pytest.mark.newest_server,
    pytest.mark.native_speed,
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BINANCE = "trades_binance_2024-08-08.csv.gz"
PHEMEX = "trades_phemex_2021-07-03.csv.gz"
STREAM = "stream_binance_trxusdt_2025-03-04.csv.gz"
DERIBIT = "options_deribit_eth_2021-07-22.csv"
SPY = "options_spy_2021.csv.gz"

# What is stored, but for the moments at which it was stored.
CONTENTS = {
    "market_data": "row(symbol, exchange, timestamp, id, price, volume, side)",
    "ohlcv_1m": "r",
    "ohlcv_1h": "r",
    "ohlcv_1d": "r",
    "option_data": "r",
    "markets": "row(symbol, exchange, id_space, source)",
    "quarantine": "row(relation, source, line, code, reason, payload)",
}


def contents(connection: psycopg.Connection[Any]) -> dict[str, tuple[int, str]]:
    """Number of rows and digest of each relation; equal only where every digit is."""
    found = {}
    for relation, row in CONTENTS.items():
        (found[relation],) = connection.execute(
            "SELECT count(*), md5(coalesce(string_agg(t, '|' ORDER BY t), ''))"
            f" FROM (SELECT {row}::text AS t FROM entasis.{relation} AS r) AS rows"
        ).fetchall()
    return found


def keep_for_ever(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE entasis.keep_periods SET keep = NULL")


@dataclass(frozen=True)
class Samples:
    """A database with all samples in it."""

    database: Database
    loaded: dict[str, Loaded]


def load_all(connection: psycopg.Connection[Any], folder: Path) -> dict[str, Loaded]:
    loaded = {
        name: load_trades(connection, folder / name, batch_rows=20_000)
        for name in (BINANCE, PHEMEX, STREAM)
    }
    return loaded | {name: load_options(connection, folder / name) for name in (DERIBIT, SPY)}


@pytest.fixture(scope="module")
def sampled(server: Server, samples: Path) -> Iterator[Samples]:
    with server.database() as lent:
        with lent.connect() as connected:
            keep_for_ever(connected)
            loaded = load_all(connected, samples)
            oracle.refresh(connected)
        yield Samples(lent, loaded)


@pytest.fixture
def sampled_connection(sampled: Samples) -> Iterator[psycopg.Connection[Any]]:
    with sampled.database.connect() as connected:
        yield connected


@dataclass(frozen=True)
class TheirCandle:
    exchange: str
    symbol: str
    bucket: datetime
    ohlcv: tuple[Decimal, ...]
    trades: int | None


def their_candles(path: Path) -> list[TheirCandle]:
    """The exchange's own candles of the minutes whose trades are all in the sample."""
    with path.open() as file:
        return [
            TheirCandle(
                row["exchange"],
                row["symbol"],
                EPOCH + timedelta(milliseconds=int(row["bucket_ms"])),
                tuple(Decimal(row[name]) for name in ("open", "high", "low", "close", "volume")),
                int(row["trades"]) if row["trades"] else None,
            )
            for row in csv.DictReader(file)
            if int(row["first_complete_ms"])
            <= int(row["bucket_ms"])
            <= int(row["last_complete_ms"])
        ]


def our_candles(
    connection: psycopg.Connection[Any], theirs: list[TheirCandle]
) -> dict[tuple[str, str, datetime], queries.Candle]:
    start, end = min(c.bucket for c in theirs), max(c.bucket for c in theirs)
    return {
        (c.exchange, c.symbol, c.bucket): c
        for exchange, symbol in {(c.exchange, c.symbol) for c in theirs}
        for c in queries.candles(symbol, exchange, "1m", start, end + timedelta(minutes=1)).fetch(
            connection
        )
    }


def ohlcv(candle: queries.Candle) -> tuple[Decimal, ...]:
    return (candle.open, candle.high, candle.low, candle.close, candle.volume)


def test_every_binance_trade_is_stored(
    sampled: Samples, sampled_connection: psycopg.Connection[Any]
) -> None:
    loaded = sampled.loaded[BINANCE]
    assert loaded.report == IngestReport(inserted=78_638)
    assert loaded.truncated_nanoseconds == 0
    assert loaded.bytes_read == loaded.total_bytes
    assert sampled_connection.execute(
        "SELECT count(*) FROM entasis.market_data"
        " WHERE exchange LIKE 'binance%' AND symbol <> 'TRXUSDT'"
    ).fetchone() == (78_638,)


def test_candles_equal_those_of_binance(
    samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    theirs = their_candles(samples / "candles_binance_2024-08-08.csv")
    assert len(theirs) == 10
    ours = our_candles(sampled_connection, theirs)
    for candle in theirs:
        own = ours[candle.exchange, candle.symbol, candle.bucket]
        assert (*ohlcv(own), own.trades) == (*candle.ohlcv, candle.trades)


@pytest.mark.parametrize(
    ("symbol", "exchange", "size"),
    [
        ("BTCUSD_PERP", "binance-cm", 100),
        ("ETHUSD_PERP", "binance-cm", 10),
        ("BTCUSDT", "binance-usdm", None),
        ("ETHUSDT", "binance-spot", None),
    ],
)
def test_turnover_is_in_the_quote_currency(
    sampled_connection: psycopg.Connection[Any], symbol: str, exchange: str, size: int | None
) -> None:
    start = datetime(2024, 8, 8, tzinfo=UTC)
    (first, *rest) = queries.candles(symbol, exchange, "1d", start, start + timedelta(2)).fetch(
        sampled_connection
    )
    for candle in (first, *rest):
        assert candle.turnover is not None
        assert candle.turnover == (size * candle.volume if size else candle.quote_volume)
        # and not, for contracts, some ten thousand times that
        base = candle.turnover / candle.close
        assert size is None or candle.volume / 1000 < base < candle.volume


def test_no_candle_is_wrong(sampled_connection: psycopg.Connection[Any]) -> None:
    assert sampled_connection.execute("SELECT * FROM entasis.check_candles()").fetchall() == []


def test_the_stream_has_one_row_in_quarantine_however_often_it_is_loaded(
    sampled: Samples, samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    assert sampled.loaded[STREAM].report == IngestReport(9_999, 0, 1)
    for _ in range(2):
        rows = sampled_connection.execute(
            "SELECT line, code, reason, payload ->> 'id' FROM entasis.quarantine WHERE source = %s",
            [STREAM],
        ).fetchall()
        assert rows == [
            (
                9328,
                "price",
                "the price 0.0 is not above 0, and its market is no combo or spread",
                "548331095",
            )
        ]
        again = load_trades(sampled_connection, samples / STREAM)
        assert again.report == IngestReport(0, 9_999, 1)
    assert sampled_connection.execute(
        "SELECT count(*) FROM entasis.market_data WHERE symbol = 'TRXUSDT'"
    ).fetchone() == (9_999,)


@pytest.mark.long
def test_loading_again_changes_nothing(
    sampled: Samples, samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    before = contents(sampled_connection)
    again = load_all(sampled_connection, samples)
    for name, first in sampled.loaded.items():
        report = first.report
        assert again[name].report == IngestReport(0, report.inserted, report.quarantined)
    assert contents(sampled_connection) == before


@pytest.mark.several_connections
@pytest.mark.long
def test_shuffled_batches_over_four_connections_come_to_the_same(
    sampled: Samples, samples: Path, server: Server
) -> None:
    chance = random.Random(20240808)
    batches: list[tuple[str, dict[tuple[str, str], str], list[TradeRow]]] = []
    for name in (BINANCE, PHEMEX, STREAM):
        reader = read_trades(samples / name)
        rows = [row for row in reader if isinstance(row, TradeRow)]
        spaces = {(symbol, venue): space for (venue, symbol), space in reader.id_spaces.items()}
        chance.shuffle(rows)  # also inside of what would have been a batch
        while rows:
            size = chance.choice((1, 10, 100, 1_000, 5_000))
            batches.append((name, spaces, rows[:size]))
            del rows[:size]
    chance.shuffle(batches)
    taking = threading.Lock()

    with server.database() as other:

        def write() -> IngestReport:
            total = IngestReport()
            with other.connect() as connected:
                while True:
                    with taking:
                        if not batches:
                            return total
                        source, spaces, rows = batches.pop()
                    trades, lines = [row.trade for row in rows], [row.line for row in rows]
                    total += retrying(
                        lambda trades=trades, lines=lines, source=source, spaces=spaces: (
                            ingest_trades(
                                connected, trades, source=source, id_space=spaces, lines=lines
                            )
                        )
                    )

        with ThreadPoolExecutor(4) as pool:
            reports = [future.result() for future in [pool.submit(write) for _ in range(4)]]
        with other.connect() as connected, sampled.database.connect() as sequential:
            oracle.refresh(connected)
            expected, found = contents(sequential), contents(connected)
            for relation in ("market_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d", "quarantine"):
                assert found[relation] == expected[relation], relation
            assert connected.execute("SELECT * FROM entasis.check_candles()").fetchall() == []
    total = sum(reports, IngestReport())
    assert total == sum(
        (sampled.loaded[name].report for name in (BINANCE, PHEMEX, STREAM)), IngestReport()
    )


# --- Phemex: integers scaled by the exchange ----------------------------------------------------


def test_every_phemex_trade_is_stored(sampled: Samples) -> None:
    loaded = sampled.loaded[PHEMEX]
    assert loaded.report == IngestReport(inserted=10_025)
    assert loaded.truncated_nanoseconds == 10_011


def test_candles_equal_those_of_phemex(
    samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    # a minute without a trade stands there with volume 0, and here not at all
    theirs = [c for c in their_candles(samples / "candles_phemex_2021-07-03.csv") if c.ohlcv[4] > 0]
    assert len(theirs) == 2_121
    ours = our_candles(sampled_connection, theirs)
    for candle in theirs:
        assert ohlcv(ours[candle.exchange, candle.symbol, candle.bucket]) == candle.ohlcv


# --- both, as check --against exchange has it ----------------------------------------------------


def published(theirs: TheirCandle) -> ExchangeCandle:
    return ExchangeCandle(
        theirs.symbol, theirs.exchange, "1m", theirs.bucket, *theirs.ohlcv, None, theirs.trades
    )


def test_check_against_the_exchanges_finds_what_is_planted_and_nothing_else(
    samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    theirs = [
        published(candle)
        for name in ("candles_binance_2024-08-08.csv", "candles_phemex_2021-07-03.csv")
        for candle in their_candles(samples / name)
    ]
    # also the minutes without a trade, of which ours have none
    assert sum(candle.volume > 0 for candle in theirs) == 10 + 2_121 < len(theirs)
    kept = "SELECT entasis.ensure_partitions('exchange_candles', %s, %s)"
    with sampled_connection.transaction(force_rollback=True):
        for day in {candle.bucket.replace(hour=0, minute=0) for candle in theirs}:
            sampled_connection.execute(kept, [day, day + timedelta(1)])
        write_exchange_candles(sampled_connection, theirs, source="published")
        assert check_exchange_candles(sampled_connection) == []
        planted, expected = [], {}
        for number, candle in enumerate(c for c in theirs if c.volume > 0):
            fields = ("volume", "high", "low", "trades")[: 4 if candle.trades else 3]
            name = fields[number % len(fields)]
            step = -1 if name == "low" else 1
            planted.append(candle._replace(**{name: getattr(candle, name) + step}))
            expected[candle.exchange, candle.symbol, candle.bucket] = f"{name} differ"
        # and where the exchange counts none, and we do not
        flat = next(candle for candle in theirs if candle.volume == 0)
        planted.append(flat._replace(volume=Decimal(1)))
        expected[flat.exchange, flat.symbol, flat.bucket] = "missing"
        write_exchange_candles(sampled_connection, planted, source="planted", replace=True)
        found = check_exchange_candles(sampled_connection)
        assert {(d.exchange, d.symbol, d.bucket): d.problem for d in found} == expected


# --- options ---------------------------------------------------------------------------------


def option_file(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return list(csv.DictReader(file))


def percent(text: str) -> Decimal:
    with localcontext() as context:
        context.prec = MAX_PREC
        return Decimal(text) / 100


def test_the_deribit_sample_keeps_all_that_it_tells(
    sampled: Samples, samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    rows = option_file(samples / DERIBIT)
    assert sampled.loaded[DERIBIT].report == IngestReport(inserted=89)
    found = sampled_connection.execute(
        "SELECT underlying, strike_price, option_type, expiry_date, timestamp, id, iv, bid_iv,"
        " ask_iv, mark_price, underlying_price, open_interest, vega, theta, rho, gamma, delta,"
        " bid_price, ask_price FROM entasis.option_data WHERE underlying <> 'SPY'"
    ).fetchall()
    expected = []
    seen: dict[tuple[str, str], int] = {}
    # of its columns, only the collector's own time of receipt is not stored
    told = list(rows[0])[6:]
    for row in rows:
        name, stamp = row["instrument_name"], row["timestamp"]
        ordinal = seen[name, stamp] = seen.get((name, stamp), -1) + 1
        underlying, day, strike, side = name.split("-")
        expiry = datetime.strptime(f"{day} 08 +0000", "%d%b%y %H %z")
        expected.append(
            (
                *(underlying, Decimal(strike), "call" if side == "C" else "put", expiry),
                *(EPOCH + timedelta(milliseconds=int(stamp)), ordinal),
                *(percent(row[iv]) for iv in ("mark_iv", "bid_iv", "ask_iv")),
                *(Decimal(row[column]) for column in told),
                *(None, None),
            )
        )
    assert sorted(found) == sorted(expected)
    # 0.00001, which four decimals would round to nothing
    assert min(row[15] for row in found if row[15]) == Decimal("0.00001")


def test_every_spy_quote_is_stored(
    sampled: Samples, samples: Path, sampled_connection: psycopg.Connection[Any]
) -> None:
    rows = option_file(samples / SPY)
    assert sampled.loaded[SPY].report == IngestReport(inserted=5_040)
    found = sampled_connection.execute(
        "SELECT expiry_date, strike_price, option_type, timestamp, iv, delta, gamma, theta, vega,"
        " bid_price, ask_price, underlying_price, open_interest, num_nonnulls(mark_price, bid_iv,"
        " ask_iv, rho) FROM entasis.option_data WHERE underlying = 'SPY'"
    ).fetchall()
    expected = [
        (
            datetime.fromisoformat(f"{row['expiration']}T23:59:59.999999Z"),
            Decimal(row["strike"]),
            row["type"],
            datetime.fromisoformat(f"{row['quotedate']}T00:00Z"),
            *(Decimal(row[n]) for n in ("impliedvol", "delta", "gamma", "theta", "vega")),
            *(Decimal(row[n]) for n in ("bid", "ask", "underlying_last", "openinterest")),
            0,
        )
        for row in rows
    ]
    assert sorted(found) == sorted(expected)
