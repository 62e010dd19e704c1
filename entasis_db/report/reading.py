"""Reads what a report shows: in one snapshot, each part by itself, none for longer than asked."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg

from entasis_db import analysis, quality, queries
from entasis_db.charts import Chart, of_candles, of_rows
from entasis_db.cursors import execute
from entasis_db.health import health
from entasis_db.quality import Gap
from entasis_db.queries import INTERVALS, Market
from entasis_db.queries.intervals import LENGTH
from entasis_db.report.rows import (
    CheckedMarket,
    Drawn,
    Lag,
    Lifecycle,
    Month,
    Refused,
    Report,
    Unread,
)
from entasis_db.runs import runs

Read = TypeVar("Read")

_MOST_CANDLES, _FEWEST_CANDLES = 120, 12
_MOST_TRADES = 200_000
"""Of a market with few candles, so many are made into bars."""
_MOST_REFUSED = 100_000
_MOST_LAGS = 60

_INSTALLATION = """
    SELECT i.engine, coalesce(i.release, '') FROM entasis.installation AS i
"""
_LAGS = """
    SELECT v.check_name, v.subject, v.value, v.since,
        CASE WHEN t.check_name IS NULL THEN c.warning ELSE t.warning END,
        CASE WHEN t.check_name IS NULL THEN c.critical ELSE t.critical END
    FROM entasis_internal.health_feeds() AS v
    INNER JOIN entasis_internal.health_checks() AS c
        ON v.check_name OPERATOR(pg_catalog.=) c.check_name
    LEFT OUTER JOIN entasis.thresholds AS t
        ON v.check_name OPERATOR(pg_catalog.=) t.check_name
    ORDER BY c.place, v.value DESC NULLS FIRST, v.subject
"""
_MONTHS = """
    SELECT pg_catalog.date_trunc('month', p.from_time, 'UTC') AS month, p.relation,
        pg_catalog.count(*), pg_catalog.sum(p.bytes)::pg_catalog.int8,
        pg_catalog.sum(greatest(p.estimated_rows, 0))::pg_catalog.int8
    FROM entasis.partitions AS p
    GROUP BY 1, 2
    ORDER BY 1 DESC, 2
"""
_LIFECYCLE = """
    SELECT l.relation, l.keep::pg_catalog.text, l.archived, l.past_keep, l.kept_because,
        l.waiting_for_archive, l.verified_up_to, l.stale_archives,
        coalesce(pg_catalog.array_length(l.gone_without_archive, 1), 0),
        CASE WHEN pg_catalog.isfinite(f.floor) THEN f.floor END, l.bytes, l.grown_in_30_days
    FROM entasis.lifecycle AS l
    LEFT OUTER JOIN entasis.floors AS f ON l.relation OPERATOR(pg_catalog.=) f.relation
    ORDER BY l.bytes DESC, l.relation
"""
_LAST_DAY = """
    SELECT v.subject, v.value::pg_catalog.int8 FROM entasis_internal.health_quarantine() AS v
    WHERE v.check_name OPERATOR(pg_catalog.=) 'quarantined'
    ORDER BY v.value DESC, v.subject
"""
_REFUSED = """
    SELECT q.relation, q.code, pg_catalog.count(*), pg_catalog.max(q.reason),
        pg_catalog.max(q.quarantined_at)
    FROM (
        SELECT n.relation, n.code, n.reason, n.quarantined_at FROM entasis.quarantine AS n
        ORDER BY n.id DESC LIMIT %s
    ) AS q
    GROUP BY q.relation, q.code
    ORDER BY 3 DESC, 1, 2
"""


def read(
    connection: psycopg.Connection[Any],
    *,
    days: int = 7,
    markets: int = 20,
    charts: int = 4,
    seconds: float = 30,
) -> Report:
    """Read a report, in one transaction that changes nothing; changes no setting of the session.

    ``connection`` is in autocommit mode, and belongs to a member of entasis_reader and
    entasis_monitor; what it may not see is told as unread (rows in quarantine are for
    entasis_writer, and counted by the day for entasis_monitor). Gaps are looked for in the
    ``days`` before the newest trade of each of the busiest ``markets``; ``charts`` of them are
    drawn. A part that takes longer than ``seconds`` is told as unread, too. Raises psycopg.Error
    when the server cannot be reached.
    """
    with connection.transaction():
        execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ((name, server, at),) = execute(
            connection,
            "SELECT pg_catalog.current_database(), pg_catalog.current_setting('server_version'),"
            " pg_catalog.now()",
        )
        execute(
            connection,
            "SELECT pg_catalog.set_config('statement_timeout', %s, true)",
            f"{max(1, round(seconds * 1000))}",
        )
        part = _Parts(connection)
        installed = part.read(lambda: execute(connection, _INSTALLATION))
        engine, release = next(iter([] if isinstance(installed, Unread) else installed), ("", ""))
        known, looked = _markets(part, at, timedelta(days=days), markets)
        return Report(
            database=name,
            server=server,
            engine=engine,
            release=release,
            at=at.astimezone(UTC),
            days=timedelta(days=days),
            most_markets=markets,
            most_refused=_MOST_REFUSED,
            markets=looked if isinstance(looked, Unread) else looked[0],
            gaps=looked if isinstance(looked, Unread) else looked[1],
            lags=part.read(lambda: _lags(connection)),
            drawn=known
            if isinstance(known, Unread)
            else part.read(lambda: _charts(connection, known, timedelta(days=days), charts)),
            months=part.read(lambda: _months(connection)),
            lifecycle=part.read(lambda: _lifecycle(connection)),
            refused=_refused(part),
            runs=part.read(lambda: runs(connection)),
            checks=part.read(lambda: health(connection)),
        )


class _Parts:
    """Reads parts, so that the failure of one leaves the others."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def read(self, reading: Callable[[], Read]) -> Read | Unread:
        """Read a part in a transaction within the transaction."""
        try:
            with self.connection.transaction():
                return reading()
        except psycopg.errors.InsufficientPrivilege as error:
            return Unread(
                f"This login may not read it: {error.diag.message_primary}. GRANT it "
                "entasis_reader and entasis_monitor."
            )
        except psycopg.errors.QueryCanceled:
            return Unread("It took longer than a part may: ask for less, or give it more seconds.")


def _markets(
    part: _Parts, at: datetime, span: timedelta, most: int
) -> tuple[list[Market] | Unread, tuple[list[CheckedMarket], list[Gap]] | Unread]:
    known = part.read(lambda: _busiest(part.connection))
    if isinstance(known, Unread):
        return known, known
    return known, part.read(lambda: _looked_at(part.connection, known, at, span, most))


def _busiest(connection: psycopg.Connection[Any]) -> list[Market]:
    """Return all markets: those that traded lately first, of these the busiest."""
    found = queries.markets().fetch(connection)
    traded = [market for market in found if market.last_trade is not None]
    newest = max((m.last_trade for m in traded if m.last_trade), default=None)

    def rank(market: Market) -> tuple[bool, int, str, str]:
        is_late = (
            market.last_trade is None
            or newest is None
            or newest - market.last_trade > timedelta(days=31)
        )
        return is_late, -market.trades, market.exchange, market.symbol

    return sorted(found, key=rank)


def _looked_at(
    connection: psycopg.Connection[Any],
    known: Sequence[Market],
    at: datetime,
    span: timedelta,
    most: int,
) -> tuple[list[CheckedMarket], list[Gap]]:
    checked: list[CheckedMarket] = []
    missing: list[Gap] = []
    for number, market in enumerate(known):
        if number >= most or market.last_trade is None:
            checked.append(CheckedMarket(market, None))
            continue
        end = max(at, market.last_trade + timedelta.resolution)
        asked = (market.symbol, market.exchange, market.last_trade - span, end)
        checked.append(CheckedMarket(market, quality.coverage(*asked).one(connection)))
        missing += quality.gaps(*asked).fetch(connection)
    return checked, missing


def _months(connection: psycopg.Connection[Any]) -> list[Month]:
    return [Month(month.astimezone(UTC), *rest) for month, *rest in execute(connection, _MONTHS)]


def _lifecycle(connection: psycopg.Connection[Any]) -> list[Lifecycle]:
    return [Lifecycle(*row) for row in execute(connection, _LIFECYCLE)]


def _lags(connection: psycopg.Connection[Any]) -> list[Lag]:
    found = [
        Lag(check, subject, value, since and since.astimezone(UTC), warning, critical)
        for check, subject, value, since, warning, critical in execute(connection, _LAGS)
    ]
    # the worst of each check
    kept: dict[str, list[Lag]] = {}
    for lag in found:
        kept.setdefault(lag.check, []).append(lag)
    return [lag for of_check in kept.values() for lag in of_check[:_MOST_LAGS]]


def _charts(
    connection: psycopg.Connection[Any], known: Sequence[Market], span: timedelta, most: int
) -> list[Drawn]:
    drawn = []
    for market in [each for each in known if each.trades][:most]:
        chart = _chart(connection, market, span)
        if chart is not None:
            drawn.append(Drawn(market, chart))
    return drawn


def _chart(connection: psycopg.Connection[Any], market: Market, span: timedelta) -> Chart | None:
    assert market.first_trade is not None
    assert market.last_trade is not None
    end = market.last_trade + timedelta.resolution
    start = max(market.first_trade, end - span)
    name = f"{market.exchange} {market.symbol}"
    for interval in INTERVALS:
        if (end - start) / LENGTH[interval] < _MOST_CANDLES or interval == "1d":
            break
    # the bucket that start lies in begins before it
    begin = start - LENGTH[interval]
    candles = queries.candles(market.symbol, market.exchange, interval, begin, end).fetch(
        connection
    )
    trades = sum(candle.trades for candle in candles)
    if interval == "1m" and len(candles) < _FEWEST_CANDLES and 1 < trades <= _MOST_TRADES:
        size = -(-trades // 80)
        bars = analysis.tick_bars(market.symbol, market.exchange, size, begin, end).fetch(
            connection
        )
        if bars:  # trades may be gone that candles still count
            return of_rows(f"{name}, bars of {size} trades", bars)
    return of_candles(f"{name} {interval}", candles, interval) if candles else None


def _refused(part: _Parts) -> list[Refused] | Unread:
    """Join what entasis_monitor may count with what entasis_writer may read."""
    counted = part.read(lambda: execute(part.connection, _LAST_DAY))
    listed = part.read(lambda: execute(part.connection, _REFUSED, _MOST_REFUSED))
    if isinstance(counted, Unread) and isinstance(listed, Unread):
        return counted
    last_day = {} if isinstance(counted, Unread) else dict(counted)
    if isinstance(listed, Unread):
        return [
            Refused(subject.partition(" ")[0], subject.partition(" ")[2], count, None, None, None)
            for subject, count in last_day.items()
        ]
    return [
        Refused(relation, code, last_day.get(f"{relation} {code}", 0), count, reason,
                newest.astimezone(UTC))
        for relation, code, count, reason, newest in listed
    ]  # fmt: skip
