"""Implied volatility and open interest of options, compared with fractions and with numpy."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import sqrt
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.ingest import load_options
from entasis_db.model import OptionType
from entasis_db.queries import OptionQuote
from tests.contract.analysis.support import NEAR, drawn_quote, same, smile
from tests.contract.queries.support import DAY, HOUR, MARCH, Session, example, sessions, tied
from tests.db import Connection
from tests.engines import Server
from tests.make import MICROSECOND, D, insert_quotes

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

FAR = MARCH + 50 * DAY
# one that expires among the quotes, two on one day, one alone
EXPIRIES = (MARCH + 2 * HOUR, NEAR, NEAR + 8 * HOUR, FAR)
YEAR = Fraction(365 * 86400)


class Smile(NamedTuple):
    """What is asked of one expiry's smile."""

    atm: Fraction | None
    call: Fraction | None
    put: Fraction | None


# --- the same in plain Python --------------------------------------------------------------------


def newest(
    quotes: Sequence[OptionQuote], at: datetime, age: timedelta, having: str
) -> list[OptionQuote]:
    """Find the newest quote of each living contract that has a number."""
    found: dict[tuple[object, ...], OptionQuote] = {}
    for q in sorted(quotes, key=lambda q: (q.timestamp, q.id)):
        living = q.underlying == "BTC" and q.expiry_date > at
        if living and at - age < q.timestamp <= at and getattr(q, having) is not None:
            found[q.expiry_date, q.strike_price, q.option_type] = q
    return list(found.values())


def between(points: Sequence[tuple[Fraction, Fraction]], target: Fraction) -> Fraction | None:
    """Interpolate between the nearest points on both sides."""
    means = {
        x: sum((y for at, y in points if at == x), Fraction(0)) / sum(at == x for at, _ in points)
        for x, _ in points
    }
    below = [x for x in means if x <= target]
    above = [x for x in means if x >= target]
    if not below or not above:
        return None
    low, high = max(below), min(above)
    weight = (target - low) / (high - low) if high > low else Fraction(0)
    return means[low] * (1 - weight) + means[high] * weight


def at_the_money(quotes: Sequence[OptionQuote]) -> Fraction | None:
    points = []
    for strike in {q.strike_price for q in quotes}:
        of_strike = [q for q in quotes if q.strike_price == strike]
        priced = [q for q in of_strike if q.underlying_price]
        outside = [q for q in priced if (q.option_type == "call") == (moneyness(q) >= 1)]
        best = outside or priced
        if best:
            q = max(best, key=lambda q: (q.timestamp, q.id, q.option_type == "call"))
            points.append((moneyness(q), Fraction(q.iv or 0)))
    return between(points, Fraction(1))


def moneyness(q: OptionQuote) -> Fraction:
    return Fraction(q.strike_price) / Fraction(q.underlying_price or 1)


def smiles(
    quotes: Sequence[OptionQuote], at: datetime, age: timedelta, wing: Fraction
) -> dict[datetime, Smile]:
    found = {}
    known = [q for q in newest(quotes, at, age, "iv") if q.iv]
    for expiry in sorted({q.expiry_date for q in known}):
        own = [q for q in known if q.expiry_date == expiry]
        wings = []
        for option_type, sign in (("call", 1), ("put", -1)):
            points = [
                (Fraction(q.delta), Fraction(q.iv or 0))
                for q in own
                if q.option_type == option_type and q.delta is not None and 0 < sign * q.delta < 1
            ]
            wings.append(between(points, sign * wing))
        found[expiry] = Smile(at_the_money(own), *wings)
    return found


def years(expiry: datetime, at: datetime) -> Fraction:
    return Fraction((expiry - at) // MICROSECOND, 10**6) / YEAR


def at_tenor(quotes: Sequence[OptionQuote], at: datetime, tenor: timedelta) -> float | None:
    points = [
        (years(expiry, at), smile.atm**2 * years(expiry, at))
        for expiry, smile in smiles(quotes, at, DAY, Fraction(1, 4)).items()
        if smile.atm is not None
    ]
    target = Fraction(tenor // MICROSECOND, 10**6) / YEAR
    variance = between(points, target)
    return None if variance is None else sqrt(variance / target)


# --- drawn quotes --------------------------------------------------------------------------------

times = st.builds(
    lambda hours, edge: MARCH + hours * HOUR + edge,
    st.integers(-20, 6),
    st.sampled_from((timedelta(0), MICROSECOND)),
)
DELTAS = (None, "0", "0.1", "0.25", "0.250001", "0.4", "0.4", "1", "-0.3")


some_quotes = tied(times).flatmap(
    lambda some: st.lists(
        st.builds(
            drawn_quote,
            some,
            st.integers(1, 3),
            st.sampled_from(("BTC", "BTC", "BTC", "BTC", "ETH")),
            st.sampled_from((*EXPIRIES, NEAR, NEAR, NEAR)),
            st.sampled_from((90, 100, 110, 120)),
            st.sampled_from(get_args(OptionType)),
            st.sampled_from((None, "0", "0.4", "0.55", "0.65", "0.65")),
            st.sampled_from((100, 100, 105, 3, 0, None)),
            st.sampled_from(DELTAS),
            st.sampled_from((None, 0, 3, 10)),
        ),
        min_size=6,
        max_size=40,
        unique_by=lambda q: (
            *(q.underlying, q.expiry_date, q.strike_price, q.option_type),
            *(q.timestamp, q.id),
        ),
    )
)


@given(
    quotes=some_quotes,
    age=st.sampled_from((HOUR, DAY)),
    wing=st.sampled_from(("0.25", "0.1")),
    session=sessions,
)
def test_smiles_and_open_interest_are_those_of_the_quotes(
    months_connection: Connection,
    quotes: list[OptionQuote],
    age: timedelta,
    wing: str,
    session: Session,
) -> None:
    with example(months_connection, session):
        insert_quotes(months_connection, *quotes)
        for at in {*(q.timestamp for q in quotes), EXPIRIES[0], MARCH + 6 * HOUR}:
            expected = smiles(quotes, at, age, Fraction(wing))
            terms = analysis.iv_term_structure("BTC", at, age).fetch(months_connection)
            assert [row.expiry_date for row in terms] == list(expected)
            for row in terms:
                assert same(row.years, years(row.expiry_date, at))
                assert same(row.atm_iv, expected[row.expiry_date].atm)
            statement = analysis.risk_reversals("BTC", at, age, D(wing))
            reversals = statement.fetch(months_connection)
            assert [row.expiry_date for row in reversals] == list(expected)
            for reversal in reversals:
                atm, call, put = expected[reversal.expiry_date]
                assert same(reversal.atm_iv, atm)
                assert same(reversal.call_iv, call)
                assert same(reversal.put_iv, put)
                known = call is not None and put is not None
                assert same(reversal.risk_reversal, call - put if known else None)  # type: ignore[operator]
                known = known and atm is not None
                assert same(reversal.butterfly, (call + put) / 2 - atm if known else None)  # type: ignore[operator]
            check_open_interest(months_connection, quotes, at, age)


def check_open_interest(
    connection: Connection, quotes: Sequence[OptionQuote], at: datetime, age: timedelta
) -> None:
    known = newest(quotes, at, age, "open_interest")
    rows = analysis.put_call_open_interest("BTC", at, age).fetch(connection)
    assert [row.expiry_date for row in rows] == sorted({q.expiry_date for q in known})
    for row in rows:
        own = [q for q in known if q.expiry_date == row.expiry_date]
        calls = [q.open_interest or 0 for q in own if q.option_type == "call"]
        puts = [q.open_interest or 0 for q in own if q.option_type == "put"]
        assert row.contracts == len(own)
        assert row.call_open_interest == (sum(calls) if calls else None)
        assert row.put_open_interest == (sum(puts) if puts else None)
        ratio = Fraction(sum(puts)) / Fraction(sum(calls)) if puts and sum(calls) else None
        assert same(row.put_call_ratio, ratio)


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_daily_volatility_and_its_rank(months_connection: Connection, zone: str) -> None:
    """Days of New York's change of clocks; one has no quote, one has one expiry only."""
    first = MARCH + 7 * DAY
    levels = ("0.5", "0.8", None, "0.4", "0.6")
    quotes = []
    for n, level in enumerate(levels):
        if level is not None:
            # one is made as the day before ends
            at = first + n * DAY + (0 if n == 1 else 12) * HOUR
            quotes += smile(at, NEAR + 7 * DAY, level)
            quotes += [] if n == 3 else smile(at, FAR, str(D(level) + D("0.1")))
    with example(months_connection, Session(zone)):
        insert_quotes(months_connection, *quotes)
        end = first + len(levels) * DAY
        rows = analysis.iv_history("BTC", first - DAY, end).fetch(months_connection)
        assert [row.day for row in rows] == [first + n * DAY for n in range(-1, len(levels))]
        expected = [at_tenor(quotes, row.day + DAY - MICROSECOND, 30 * DAY) for row in rows]
        assert [value is None for value in expected] == [True, False, False, True, True, False]
        for row, value in zip(rows, expected, strict=True):
            assert close(row.iv, value)
        # days that begin in the range
        some = analysis.iv_history("BTC", first + MICROSECOND, end).fetch(months_connection)
        assert some == rows[2:]

        at = end + 6 * HOUR
        (rank,) = analysis.iv_rank("BTC", at, 12 * DAY).fetch(months_connection)
        now = at_tenor(quotes, at, 30 * DAY)
        before = [value for value in expected if value is not None]
        assert now is not None
        assert rank.day_count == len(before) == 3
        low, high = min(*before, now), max(*before, now)
        assert close(rank.iv, now)
        assert close(rank.low, low)
        assert close(rank.high, high)
        assert close(rank.rank, (now - low) / (high - low))
        assert close(rank.percentile, sum(value < now for value in before) / 3)
        # the lookback begins after the second day began: one day is left
        (rank,) = analysis.iv_rank("BTC", at, at - first - DAY - MICROSECOND).fetch(
            months_connection
        )
        assert rank.day_count == 1
        # nothing is known of now
        (rank,) = analysis.iv_rank("BTC", at + DAY, 12 * DAY).fetch(months_connection)
        assert (rank.iv, rank.rank, rank.percentile, rank.day_count) == (None, None, None, 3)
        # nothing is known of before
        (rank,) = analysis.iv_rank("BTC", at, HOUR).fetch(months_connection)
        assert (rank.rank, rank.percentile, rank.day_count) == (None, None, 0)
        assert rank.low == rank.high == rank.iv


def test_a_day_that_is_as_volatile_is_not_below(months_connection: Connection) -> None:
    """At expiries of the very tenor nothing is interpolated, nor rounded."""
    at = MARCH + DAY + 6 * HOUR
    expiries = [moment + 30 * DAY for moment in (MARCH + DAY - MICROSECOND, at)]
    with example(months_connection):
        for expiry in expiries:
            insert_quotes(months_connection, *smile(MARCH + 12 * HOUR, expiry))
        # what comes after the moment does not count, though its day has begun
        for expiry in (*expiries, FAR):
            insert_quotes(months_connection, *smile(at + HOUR, expiry, "0.9"))
        (rank,) = analysis.iv_rank("BTC", at, 2 * DAY).fetch(months_connection)
        assert (rank.iv, rank.low, rank.high, rank.day_count) == (D("0.5"), D("0.5"), D("0.5"), 1)
        assert (rank.rank, rank.percentile) == (None, 0)


def close(found: object, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(float(found) - expected) < 1e-12  # type: ignore[arg-type]


def test_mistaken_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="wing_delta is 1: give one between 0 and 1"):
        analysis.risk_reversals("BTC", MARCH, DAY, D(1))
    with pytest.raises(ValueError, match="tenor is 0:00:00"):
        analysis.iv_history("BTC", MARCH, MARCH + DAY, timedelta(0))
    with pytest.raises(ValueError, match=r"at is .*, without a time zone"):
        analysis.iv_rank("BTC", MARCH.replace(tzinfo=None))
    with pytest.raises(ValueError, match="not before to_time"):
        analysis.iv_history("BTC", MARCH, MARCH)


# --- real quotes, with numpy ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(server: Server, samples: Path) -> Iterator[Connection]:
    """Deribit's tickers of half a minute, and the first days of SPY's year."""
    with server.database() as database, database.connect() as connection:
        connection.execute("UPDATE entasis.keep_periods SET keep = NULL")
        load_options(connection, samples / "options_deribit_eth_2021-07-22.csv")
        load_options(connection, samples / "options_spy_2021.csv.gz")
        yield connection


def numpy_between(x: list[float], y: list[float], target: float) -> float | None:
    """Interpolate as numpy does, of sorted points without ties, and never outside."""
    ticks = np.unique(x)
    if not len(ticks) or not ticks[0] <= target <= ticks[-1]:
        return None
    means = [np.mean([b for a, b in zip(x, y, strict=True) if a == tick]) for tick in ticks]
    return float(np.interp(target, ticks, means))


def numpy_smile(chain: Sequence[OptionQuote]) -> tuple[float | None, float | None, float | None]:
    known = [q for q in chain if q.iv]
    wings = []
    for option_type, target in (("call", 0.25), ("put", -0.25)):
        own = [q for q in known if q.option_type == option_type and q.delta is not None]
        own = [q for q in own if 0 < abs(q.delta or 0) < 1]
        deltas, ivs = [float(q.delta or 0) for q in own], [float(q.iv or 0) for q in own]
        wings.append(numpy_between(deltas, ivs, target))
    strikes: dict[float, tuple[bool, float, float]] = {}
    for q in known:
        ratio = float(q.strike_price) / float(q.underlying_price or 1)
        outside = (q.option_type == "call") == (ratio >= 1)
        if outside or float(q.strike_price) not in strikes:
            strikes[float(q.strike_price)] = (outside, ratio, float(q.iv or 0))
    points = list(strikes.values())
    atm = numpy_between([p[1] for p in points], [p[2] for p in points], 1.0)
    return (atm, *wings)


def check_real(connection: Connection, underlying: str, at: datetime) -> tuple[int, int, int]:
    """Compare with numpy what is told of one moment, and count what is known of it."""
    chain = queries.option_chain(underlying, at).fetch(connection)
    rows = analysis.risk_reversals(underlying, at).fetch(connection)
    assert [row.expiry_date for row in rows] == sorted({q.expiry_date for q in chain if q.iv})
    for row in rows:
        own = [q for q in chain if q.expiry_date == row.expiry_date]
        for found, value in zip(
            (row.atm_iv, row.call_iv, row.put_iv), numpy_smile(own), strict=True
        ):
            assert close(found, value)
    known = [[n is not None for n in (r.atm_iv, r.risk_reversal, r.butterfly)] for r in rows]
    atm, reversal, butterfly = (sum(column) for column in zip(*known, strict=True))
    return atm, reversal, butterfly


@pytest.mark.samples
@pytest.mark.copy
def test_real_smiles_are_those_of_numpy(real: Connection) -> None:
    at = datetime(2021, 7, 22, 22, 43, tzinfo=UTC)
    # of each expiry one or two contracts: only two puts of BTC have the money between them
    assert check_real(real, "ETH", at) == (0, 0, 0)
    assert check_real(real, "BTC", at) == (1, 0, 0)
    days = [datetime(2021, 1, 4, 21, tzinfo=UTC) + n * DAY for n in range(5)]
    known = [check_real(real, "SPY", day) for day in days]
    assert all(sum(column) for column in zip(*known, strict=True))


@pytest.mark.samples
@pytest.mark.copy
def test_real_daily_volatility_ranks_as_numpy_does(real: Connection) -> None:
    first, end = datetime(2021, 1, 4, tzinfo=UTC), datetime(2021, 3, 1, tzinfo=UTC)
    rows = analysis.iv_history("SPY", first, end).fetch(real)
    assert len(rows) == (end - first).days
    for row in rows[:12]:
        at = row.day + DAY - MICROSECOND
        terms = analysis.iv_term_structure("SPY", at).fetch(real)
        known = [(float(t.years), float(t.atm_iv)) for t in terms if t.atm_iv is not None]
        tenor = 30 / 365
        variance = numpy_between([t for t, _ in known], [t * v * v for t, v in known], tenor)
        assert close(row.iv, None if variance is None else sqrt(variance / tenor))
    ivs = np.array([float(row.iv) for row in rows if row.iv is not None])
    assert len(ivs) > 5
    # at the end of the last day that has one
    last = max(row.day for row in rows if row.iv is not None)
    (rank,) = analysis.iv_rank("SPY", last + DAY - MICROSECOND, last + DAY - first).fetch(real)
    assert rank.day_count == len(ivs) - 1
    now = ivs[-1]
    assert close(rank.iv, now)
    assert close(rank.rank, float((now - ivs.min()) / (ivs.max() - ivs.min())))
    assert close(rank.percentile, float(np.mean(ivs[:-1] < now)))
