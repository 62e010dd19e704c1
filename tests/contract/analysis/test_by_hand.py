"""Analysis worked by hand, on every engine: what is drawn at random is too slow for some."""

from fractions import Fraction
from typing import get_args

import pytest

from entasis_db import analysis
from entasis_db.analysis import Drawdown
from entasis_db.model import OptionType
from tests.contract.analysis.support import NEAR, drawn_quote, same, smile, sure
from tests.contract.queries.support import (
    DAY,
    HOUR,
    MARCH,
    MARKET,
    MINUTE,
    USER,
    example,
    insert_trades,
    prediction,
    snapshot,
    trade,
)
from tests.db import Connection
from tests.make import D, insert, insert_quotes

pytestmark = pytest.mark.newest_server


def test_a_smile_worked_by_hand(months_connection: Connection) -> None:
    with example(months_connection):
        insert_quotes(months_connection, *smile(MARCH, NEAR))
        (row,) = analysis.risk_reversals("BTC", MARCH).fetch(months_connection)
        assert (row.atm_iv, row.call_iv, row.put_iv) == (D("0.5"), D("0.53"), D("0.59"))
        assert (row.risk_reversal, row.butterfly) == (D("-0.06"), D("0.06"))
        # calls go up to a delta of 0.5 and down to 0.2, puts from -0.2 to -0.3
        (row,) = analysis.risk_reversals("BTC", MARCH, DAY, D("0.4")).fetch(months_connection)
        assert (row.call_iv, row.put_iv, row.risk_reversal) == (D("0.51"), None, None)
        (row,) = analysis.risk_reversals("BTC", MARCH, DAY, D("0.15")).fetch(months_connection)
        assert (row.call_iv, row.put_iv, row.butterfly) == (None, None, None)
        # at 130 all strikes are below
        insert_quotes(months_connection, *smile(MARCH + HOUR, NEAR, "0.5", 130))
        (term,) = analysis.iv_term_structure("BTC", MARCH + HOUR).fetch(months_connection)
        assert term.atm_iv is None
        assert (
            analysis.iv_term_structure("BTC", NEAR + HOUR, 90 * DAY).fetch(months_connection) == []
        )
        assert analysis.iv_term_structure("NONE", MARCH).fetch(months_connection) == []


def test_of_a_strike_the_option_out_of_the_money_counts(months_connection: Connection) -> None:
    def at_the_money(*quotes: tuple[OptionType, int, str]) -> D | None:
        with example(months_connection):
            made = [
                # the later one is as new as can be, and does not count for that
                drawn_quote(MARCH + n * HOUR, 1, "BTC", NEAR, strike, kind, iv, 100, None, None)
                for n, (kind, strike, iv) in enumerate(quotes)
            ]
            insert_quotes(months_connection, *made)
            (row,) = analysis.iv_term_structure("BTC", MARCH + 9 * HOUR).fetch(months_connection)
            return row.atm_iv

    low: tuple[OptionType, int, str] = ("put", 90, "0.5")
    high: tuple[OptionType, int, str] = ("call", 110, "0.4")
    assert at_the_money(low, high, ("call", 90, "0.9"), ("put", 110, "0.9")) == D("0.45")
    assert at_the_money(("call", 90, "0.6"), high) == D("0.5")
    assert at_the_money(low, high, ("call", 100, "0.3"), ("put", 100, "0.7")) == D("0.3")
    assert at_the_money(low) is None
    assert at_the_money(("put", 100, "0.7")) == D("0.7")


def test_deltas_that_tie_or_say_nothing(months_connection: Connection) -> None:
    def wings(*quotes: tuple[str | None, str]) -> tuple[D | None, D | None]:
        """Ask of calls with these deltas, and of puts with the same below 0."""
        with example(months_connection):
            made = [
                drawn_quote(MARCH, 1, "BTC", NEAR, 90 + n, kind, iv, 100, delta, None)
                for n, (delta, iv) in enumerate(quotes)
                for kind in get_args(OptionType)
            ]
            insert_quotes(months_connection, *made)
            (row,) = analysis.risk_reversals("BTC", MARCH).fetch(months_connection)
            return row.call_iv, row.put_iv

    assert wings(("0.2", "0.4"), ("0.3", "0.6")) == (D("0.5"), D("0.5"))
    # a delta of 0 or 1 is what sources send that have none
    for ends in ((("0.2", "0.4"), ("1", "0.9")), (("0", "0.9"), ("0.3", "0.6")), ((None, "0.5"),)):
        assert wings(*ends) == (None, None)
    assert wings(("0.25", "0.4"), ("0.25", "0.8")) == (D("0.6"), D("0.6"))
    assert wings(("0.2", "0.4"), ("0.2", "0.8"), ("0.3", "0.4")) == (D("0.5"), D("0.5"))
    assert wings(("0.25", "0.7")) == (D("0.7"), D("0.7"))
    assert wings(("-0.25", "0.7")) == (None, None)


def test_scores_worked_by_hand(months_connection: Connection) -> None:
    """Four prices: up, up, down and none; a model that says up each time, with more and more."""
    closes = ("100", "110", "120", "90", "90")
    with example(months_connection):
        insert_trades(
            months_connection, [trade(MARCH + n * HOUR, 1, D(p)) for n, p in enumerate(closes)]
        )
        made = [
            sure(
                prediction(
                    10 * m + n,
                    MARCH + n * HOUR + MINUTE,
                    MARCH + (n + 1) * HOUR + MINUTE,
                    kind,
                    value,
                ),
                confidence,
            )
            for m, (kind, values) in enumerate(
                (("direction", "1111"), ("price", (105, 115, 125, 95)))
            )
            for n, (value, confidence) in enumerate(
                zip(map(D, values), ("1", "0.5", "0.5", "0"), strict=True)
            )
        ]
        insert(months_connection, "predictions", made)
        direction, price = analysis.prediction_accuracy("m", *MARKET, MARCH, MARCH + DAY).fetch(
            months_connection
        )
        assert (direction.prediction_type, direction.horizon) == ("direction", HOUR)
        for row in (direction, price):
            assert (row.predictions, row.scored, row.measured) == (4, 4, 4)
            # two hits; to say up each time would have had two as well
            assert (row.hit_rate, row.naive_hit_rate, row.hit_skill) == (D("0.5"), D("0.5"), 0)
            # (0 + 0.25 + 0.25 + 0) / 4, against 0.5 * 0.5
            assert (row.brier, row.naive_brier, row.brier_skill) == (
                D("0.125"),
                D("0.25"),
                D("0.5"),
            )
        assert (direction.naive_mae, direction.skill) == (None, None)
        # errors of -5, -5, 35 and 5; of the last price -10, -10, 30 and 0
        assert (price.mean_error, price.mae, price.naive_mae) == (D("7.5"), D("12.5"), D("12.5"))
        assert same(price.skill, 1 - Fraction(1300, 1100))


def test_a_fall_and_its_recovery(months_connection: Connection) -> None:
    made = [
        snapshot(n, USER, asset, MARCH + n * HOUR)._replace(pnl=D(pnl))
        for n, (asset, pnl) in enumerate(
            (("BTC", 10), ("ETH", 5), ("BTC", 2), ("ETH", 1), ("BTC", 14), ("BTC", 0))
        )
    ]
    with example(months_connection):
        insert(months_connection, "portfolio_status", made)
        rows = analysis.portfolio_pnl(USER, MARCH, MARCH + DAY).fetch(months_connection)
        assert [row.pnl for row in rows] == [10, 15, 7, 3, 15, 1]
        assert [row.drawdown for row in rows] == [0, 0, -8, -12, 0, -14]
        (fall,) = analysis.portfolio_drawdown(USER, MARCH, MARCH + 5 * HOUR).fetch(
            months_connection
        )
        assert fall == Drawdown(
            *(D(-12), D(15), MARCH + HOUR, D(3), MARCH + 3 * HOUR, MARCH + 4 * HOUR)
        )
        (fall,) = analysis.portfolio_drawdown(USER, MARCH, MARCH + DAY).fetch(months_connection)
        assert (fall.drawdown, fall.peak_at, fall.recovered_at) == (-14, MARCH + 4 * HOUR, None)
        # what was reached before the range counts
        (fall,) = analysis.portfolio_drawdown(USER, MARCH + 2 * HOUR, MARCH + 4 * HOUR).fetch(
            months_connection
        )
        assert (fall.drawdown, fall.peak, fall.peak_at) == (-12, 15, None)
