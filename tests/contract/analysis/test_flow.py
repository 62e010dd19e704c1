"""Average prices, profiles and imbalances, compared with plain Python."""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db import analysis, queries
from entasis_db.analysis import Twap, Vwap
from entasis_db.model import Trade
from tests import oracle
from tests.contract.analysis.test_markouts import close_to, sided
from tests.contract.analysis.test_prices import counted, delete_below, last_trade
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    SECOND,
    bucket_of,
    example,
    insert_trades,
    scenes,
    trade,
)
from tests.db import Connection, ensure
from tests.make import MICROSECOND, D, months_ago

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed]

widths = st.sampled_from((MICROSECOND, SECOND, 50 * SECOND, MINUTE, 3 * MINUTE, HOUR, 9 * DAY))


def bounds(trades: list[Trade], anchor: datetime) -> set[datetime]:
    """Choose times at which something begins or ends."""
    edges = {t.timestamp + step for t in trades for step in (-MICROSECOND, 0 * SECOND, 7 * SECOND)}
    return {anchor, *sorted(edges)[:12]}


@given(scene=scenes, width=widths)
def test_vwap_is_of_the_trades_of_any_range(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], width: timedelta
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    with example(months_connection):
        insert_trades(months_connection, trades)
        for start in bounds(trades, anchor):
            (row,) = analysis.vwap(*MARKET, start, start + width).fetch(months_connection)
            own = [t for t in counted(trades) if start <= t.timestamp < start + width]
            with localcontext(prec=90):
                volume = sum((t.volume for t in own), D(0))
                quote_volume = sum((t.price * t.volume for t in own), D(0))
                assert row[:3] == (len(own), volume, quote_volume)
                assert close_to(row.vwap, quote_volume / volume if own else None)


@given(scene=scenes, width=widths, age=st.sampled_from((MINUTE, DAY)))
def test_twap_is_of_how_long_each_price_stood(
    months_connection: Connection,
    scene: tuple[datetime, list[Trade]],
    width: timedelta,
    age: timedelta,
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    with example(months_connection):
        insert_trades(months_connection, trades)
        for start in bounds(trades, anchor):
            end = start + width
            (row,) = analysis.twap(*MARKET, start, end, age).fetch(months_connection)
            own = [t for t in counted(trades) if start <= t.timestamp < end]
            first = last_trade(trades, start, age)
            # step by step: the price from each change to the next
            steps = [(start, first.price)] if first else []
            steps += [(t.timestamp, t.price) for t in own]
            if not steps:
                assert row == Twap(None, None, 0, None)
                continue
            assert row[:3] == (steps[0][0], end, len(own))
            with localcontext(prec=90):
                total = D(0)
                for (at, price), until in zip(
                    steps, [*[s[0] for s in steps[1:]], end], strict=True
                ):
                    total += price * ((until - at) // MICROSECOND)
                lasted = (end - steps[0][0]) // MICROSECOND
                assert close_to(row.twap, total / lasted)


@pytest.mark.one_role
def test_a_range_that_is_still_to_come_ends_now(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        row = connection.execute("SELECT now(), now() - interval '1 hour'").fetchone()
        assert row is not None
        ensure(connection, "market_data", row[1], row[0])
        insert_trades(connection, [trade(row[1], 1, D(5))])
        (found,) = analysis.twap(*MARKET, row[1], row[0] + DAY).fetch(connection)
        assert found.twap == 5
        assert found.ends_at is not None
        assert found.ends_at < row[0] + HOUR
        assert analysis.twap(*MARKET, row[0] + DAY, row[0] + 2 * DAY).fetch(connection) == [
            Twap(None, None, 0, None)
        ]


@given(
    scene=scenes,
    step=st.sampled_from([D(s) for s in ("1000", "7", "0.000001")]),
    shift=st.sampled_from([D(0), D(-50000)]),
)
def test_a_profile_has_every_trade_at_its_step(
    months_connection: Connection,
    scene: tuple[datetime, list[Trade]],
    step: Decimal,
    shift: Decimal,
) -> None:
    anchor = scene[0]
    trades = [t._replace(price=t.price + shift) for t in sided(scene[1])]
    with example(months_connection):
        months_connection.execute(
            'SELECT entasis.set_market(symbol, exchange, \'{"kind": "spread"}\')'
            " FROM unnest(%s::text[], %s::text[]) AS m (symbol, exchange)",
            [[t.symbol for t in trades], [t.exchange for t in trades]],
        )
        insert_trades(months_connection, trades)
        start, end = anchor - DAY, anchor + DAY
        levels: dict[Decimal, list[Trade]] = {}
        with localcontext(prec=90):
            for t in counted(trades):
                if start <= t.timestamp < end:
                    level = (t.price / step).to_integral_value(ROUND_FLOOR) * step
                    levels.setdefault(level, []).append(t)
            found = analysis.volume_profile(*MARKET, step, start, end).fetch(months_connection)
            assert [row.price_from for row in found] == sorted(levels)
            for row in found:
                own = levels[row.price_from]
                assert row.price_to == row.price_from + step
                assert row[2:] == (
                    len(own),
                    sum(t.volume for t in own),
                    sum(t.price * t.volume for t in own),
                    sum(t.volume for t in own if t.side == "buy"),
                    sum(t.volume for t in own if t.side == "sell"),
                )


def test_a_price_just_below_a_step_is_below_it(months_connection: Connection) -> None:
    """A quotient with 16 digits would be the next whole number."""
    with example(months_connection):
        price = D("69999.999999999999999999")
        insert_trades(months_connection, [trade(MARCH, 1, price)])
        (row,) = analysis.volume_profile(*MARKET, D("0.07"), MARCH, MARCH + DAY).fetch(
            months_connection
        )
        assert row.price_from == D("69999.93")


@given(scene=scenes, interval=st.sampled_from(("1m", "4h", "1d", "1w")))
def test_an_imbalance_is_of_the_sides_that_are_known(
    months_connection: Connection, scene: tuple[datetime, list[Trade]], interval: queries.Interval
) -> None:
    anchor, trades = scene[0], sided(scene[1])
    with example(months_connection):
        insert_trades(months_connection, trades)
        start, end = anchor - 4 * DAY, anchor + 4 * DAY
        groups: dict[datetime, list[Trade]] = {}
        for t in counted(trades):
            groups.setdefault(bucket_of(interval, t.timestamp), []).append(t)
        groups = {bucket: own for bucket, own in groups.items() if start <= bucket < end}
        statement = analysis.order_flow_imbalance(*MARKET, interval, start, end)
        found = statement.fetch(months_connection)
        assert [row.bucket for row in found] == sorted(groups)
        for row in found:
            own = groups[row.bucket]
            buys, sells = ([t.volume for t in own if t.side == s] for s in ("buy", "sell"))
            total = sum((t.volume for t in own), D(0))
            assert row[1:5] == (len(own), len(buys), len(sells), total)
            assert row[5:7] == (sum(buys), sum(sells))
            with localcontext(prec=60):
                known = D(sum(buys) + sum(sells))
                assert close_to(row.imbalance, D(sum(buys) - sum(sells)) / known if known else None)


def test_below_the_floors_nothing_is_told(connection: Connection) -> None:
    old, new = months_ago(4), months_ago(3)
    ensure(connection, "market_data", old, new + DAY)
    insert_trades(connection, [trade(old + n * 25 * SECOND, n, D(100 + n)) for n in range(9)])
    insert_trades(connection, [trade(new + n * 25 * SECOND, 20 + n) for n in range(9)])
    oracle.refresh(connection)
    whole, cut = (old, new + DAY), (old + SECOND, new + DAY)
    before = analysis.vwap(*MARKET, *whole).fetch(connection)
    connection.execute("UPDATE entasis.floors SET floor = %s WHERE relation = 'market_data'", [new])
    delete_below(connection, old + HOUR)
    # minutes outlive their trades, parts of them do not
    assert analysis.vwap(*MARKET, *whole).fetch(connection) == before
    assert analysis.vwap(*MARKET, *cut).fetch(connection) == [Vwap(None, None, None, None)]
    assert analysis.twap(*MARKET, *whole).fetch(connection) == [Twap(None, None, 0, None)]
    assert analysis.volume_profile(*MARKET, 1, *whole).fetch(connection) == []
    flows = analysis.order_flow_imbalance(*MARKET, "1m", *whole).fetch(connection)
    assert flows[0].bucket == new
    above = analysis.twap(*MARKET, new, new + DAY).fetch(connection)[0]
    assert (above.trades, above.twap) == (9, 1)
    connection.execute("UPDATE entasis.floors SET floor = %s", [new])
    assert analysis.vwap(*MARKET, *whole).fetch(connection) == [Vwap(None, None, None, None)]


def test_mistaken_arguments_are_refused() -> None:
    for wrong in (0, -1, Decimal("NaN"), 0.5):
        with pytest.raises(ValueError, match="step is"):
            analysis.volume_profile(*MARKET, wrong, MARCH, MARCH + DAY)  # type: ignore[arg-type]
