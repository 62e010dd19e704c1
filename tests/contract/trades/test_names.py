"""What may name an instrument or a venue: every table, loader and client says the same."""

from pathlib import Path

import pytest
from psycopg import errors

from entasis_db.ingest import IngestReport, ingest_options, load_trades
from entasis_db.ingest.limits import is_name
from tests.contract.trades.support import ingest, quarantined, with_months
from tests.db import Connection, violates
from tests.engines import Database
from tests.make import quote, trade

pytestmark = [pytest.mark.copy, pytest.mark.native_speed_when_short]

GOOD = (
    "BTC-USD-250627-100000-C",
    "BTC/USDT:USDT-250627-100000-C",
    "\u5e01\u5b89\u4eba\u751fUSDT",
    "binance-european-options",
    "two words",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # a Persian word takes a joiner
    "back\\slash",
    "\U0001f415" * 64,
    "a",
)
BAD = (
    "",
    "a" * 65,
    " a",
    "a ",
    "a\tb",
    "a\n",
    "\x01a",
    "a\x7f",
    "a\x9f",
    "a\xa0b",
    "\u061ca",
    "a\u1680",
    "a\u2003b",
    "a\u200b",
    "a\u200eb",
    "a\u200f",
    "a\u2028b",
    "a\u202eb",
    "\u2066a",
    "a\u3000b",
    "\ufeffa",
)
COLUMNS = (
    ("market_data", "symbol"),
    ("market_data", "exchange"),
    ("markets", "symbol"),
    ("markets", "exchange"),
    ("option_data", "underlying"),
    ("predictions", "symbol"),
    ("predictions", "prediction_type"),
    ("predictions", "model_id"),
    ("portfolio_status", "asset_type"),
)
VALUES = {
    "market_data": "symbol, exchange, timestamp, id, price, volume)"
    " VALUES ('a', 'a', now(), 1, 1, 1",
    "markets": "symbol, exchange, source) VALUES ('a', 'a', 'a'",
    "option_data": "underlying, strike_price, expiry_date, option_type, timestamp, id)"
    " VALUES ('a', 1, now(), 'put', now(), 1",
    "predictions": "model_id, symbol, prediction_type, predicted_value, confidence, timestamp)"
    " VALUES ('a', 'a', 'a', 1, 1, now()",
    "portfolio_status": "user_id, asset_type, position_size, entry_price, current_price, pnl,"
    " timestamp) VALUES (gen_random_uuid(), 'a', 1, 1, 1, 1, now()",
}


@pytest.mark.parametrize(("relation", "column"), COLUMNS)
def test_every_table_refuses_the_same(
    shared_connection: Connection, relation: str, column: str
) -> None:
    columns, _, values = VALUES[relation].partition(") VALUES (")
    place = columns.split(", ").index(column)
    given = values.split(", ")
    given[place] = "%s"
    statement = f"INSERT INTO entasis.{relation} ({columns}) VALUES ({', '.join(given)})"
    for name in GOOD:
        with shared_connection.transaction(force_rollback=True):
            shared_connection.execute(statement, [name])
    for name in BAD:
        if column == "model_id" and len(name) == 65:
            name = "a" * 129
        with (
            pytest.raises((errors.CheckViolation, errors.StringDataRightTruncation)) as refused,
            shared_connection.transaction(),
        ):
            shared_connection.execute(statement, [name])
        if len(name) < 65:
            violates(shared_connection, refused.value, f"{relation}_{column}_is_name")


@pytest.mark.parametrize("column", ["symbol", "exchange"])
@pytest.mark.parametrize("market", ["new", "known"])
def test_no_statement_gets_by(
    shared_connection: Connection, shared: Database, column: str, market: str
) -> None:
    # in a market that is on record, where names are not looked at again, and in none
    insert = (
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume, excluded)"
        " VALUES (%(symbol)s, %(exchange)s, now(), 1, 1, 1, %(excluded)s)"
    )
    good = {"symbol": "a", "exchange": "a", "excluded": None}
    with shared_connection.transaction(force_rollback=True):
        if market == "known":
            shared_connection.execute(insert, good)
        for name in BAD:
            bad = {**good, column: name}
            for statement, values in (
                (insert, bad),
                (insert, {**bad, "excluded": "block"}),
                (
                    "UPDATE entasis.market_data SET symbol = %(symbol)s, exchange = %(exchange)s",
                    bad,
                ),
            ):
                if statement is not insert and (
                    market == "new" or not shared.can("moves_between_symbols")
                ):
                    continue
                with (
                    pytest.raises((errors.CheckViolation, errors.StringDataRightTruncation)),
                    shared_connection.transaction(),
                ):
                    shared_connection.execute(statement, values)


def test_clients_and_staging_say_the_same(connection: Connection) -> None:
    assert all(map(is_name, GOOD))
    assert not any(map(is_name, BAD))
    with_months(connection)
    for names, report in (
        (GOOD, IngestReport(len(GOOD))),
        (BAD, IngestReport(quarantined=len(BAD))),
    ):
        assert ingest(connection, *(trade(1, symbol=name) for name in names)) == report
        assert ingest(connection, *(trade(1, exchange=name) for name in names)) == report
        quotes = [quote(1, underlying=name) for name in names]
        assert ingest_options(connection, quotes, source="o") == report
    codes = [code for _, _, code in quarantined(connection)]
    assert {code: codes.count(code) for code in set(codes)} == dict.fromkeys(
        ("symbol", "exchange", "underlying"), len(BAD)
    )
    reasons = connection.execute(
        "SELECT reason FROM entasis.quarantine WHERE code = 'symbol' AND line IN (5, 18)"
        " ORDER BY line"
    ).fetchall()
    assert [reason for (reason,) in reasons] == [
        r'the symbol "a\tb" has a space at an end, or a character that controls or turns text',
        'the symbol "a\u202eb" has a space at an end, or a character that controls or turns text',
    ]


@pytest.mark.samples
def test_real_instruments(connection: Connection, samples: Path) -> None:
    """Of the file, what is malformed, or has other numbers than fit, is refused for no name."""
    path = samples.parent / "cases" / "names" / "names_ids_bounds.csv"
    load_trades(connection, path)
    codes = {line: code for _, line, code in quarantined(connection)}
    assert not {"symbol", "exchange"} & set(codes.values())
    stored = {symbol for (symbol,) in connection.execute("SELECT symbol FROM entasis.market_data")}
    assert {"BTC/USDT:USDT-250627-100000-C", "\u5e01\u5b89\u4eba\u751fUSDT"} <= stored
