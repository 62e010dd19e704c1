"""The list of instruments: what is filled in, by whom, and what nobody may write into it."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row

from entasis_db import queries
from entasis_db.errors import InstrumentError, LoadError
from entasis_db.ingest import ingest_trades, load_trades, replace_trades
from entasis_db.instruments import import_instruments, set_market
from tests import oracle
from tests.contract.trades.test_ids import make_months
from tests.db import Connection
from tests.engines import Server
from tests.make import NOON, D, insert_trades, trade

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]

NO_SIZE = (None, None, "base")
AT_EIGHT = datetime(2025, 6, 27, 8, tzinfo=UTC)


def market(connection: Connection, symbol: str, exchange: str) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            "SELECT * FROM entasis.markets WHERE symbol = %s AND exchange = %s", [symbol, exchange]
        ).fetchone()
    assert row is not None
    return row


@pytest.mark.native_speed
@pytest.mark.parametrize(
    ("exchange", "symbol", "kind", "assets", "size", "expiry", "unit"),
    [
        ("binance-spot", "BTCUSDT", "spot", (None, None, None), None, None, "base"),
        ("binance-usdm", "BTCUSDT", "linear_perpetual", ("BTC", "USDT", "USDT"), 1, None, "base"),
        ("binance-usdm", "ETHBTC", "linear_perpetual", (None, None, None), 1, None, "base"),
        (
            *("binance-usdm", "BTCUSDT_250627", "linear_future"),
            *(("BTC", "USDT", "USDT"), 1, AT_EIGHT, "base"),
        ),
        (
            *("binance-cm", "BTCUSD_PERP", "inverse_perpetual"),
            *(("BTC", "USD", "BTC"), 100, None, "contracts"),
        ),
        (
            *("binance-cm", "ETHUSD_250627", "inverse_future"),
            *(("ETH", "USD", "ETH"), 10, AT_EIGHT, "contracts"),
        ),
        ("binance-cm", "币安人生", None, (None, None, None), None, None, "contracts"),
        # no day of a calendar, and yet no error that would hold up a trade
        (
            *("binance-cm", "ETHUSD_250931", "inverse_future", ("ETH", "USD", "ETH"), 10),
            *(datetime(2025, 10, 1, 8, tzinfo=UTC), "contracts"),
        ),
        (
            *("deribit", "BTC-PERPETUAL", "inverse_perpetual"),
            *(("BTC", "USD", "BTC"), None, None, "quote"),
        ),
        ("deribit", "ETH-29MAR24-4000-C", "option", ("ETH", None, "ETH"), None, None, "base"),
        (
            *("okx", "BTC-USD-SWAP", "inverse_perpetual"),
            *(("BTC", "USD", "BTC"), None, None, "contracts"),
        ),
        (
            *("okx", "ETH-USDT-SWAP", "linear_perpetual"),
            *(("ETH", "USDT", "USDT"), None, None, "contracts"),
        ),
        ("okx", "BTC-USDT", "spot", ("BTC", "USDT", None), None, None, "base"),
        ("deribit", "BTC_USDC-27JUN25-100000-C", "option", ("BTC", "USDC", "USDC"), *NO_SIZE),
        ("deribit", "XRP_USDC-27JUN25-0d625-P", "option", ("XRP", "USDC", "USDC"), *NO_SIZE),
        ("deribit", "SOL_USDC-PERPETUAL", "linear_perpetual", ("SOL", "USDC", "USDC"), *NO_SIZE),
        ("deribit", "BTC_USDC", "spot", ("BTC", "USDC", None), *NO_SIZE),
        (
            *("deribit", "BTC-FS-27JUN25_PERP", "spread"),
            *(("BTC", "USD", "BTC"), None, None, "quote"),
        ),
        ("bybit", "BTC-27JUN25-100000-C-USDT", "option", ("BTC", None, None), *NO_SIZE),
        ("bitmex", "XBTUSD", "inverse_perpetual", ("XBT", "USD", "XBT"), 1, None, "contracts"),
        ("bybit", "BTCUSDT-SPOT", "spot", (None, None, None), None, None, "base"),
        ("bybit", "BTCUSD", "inverse_perpetual", ("BTC", "USD", "BTC"), None, None, "quote"),
        *(
            ("deribit", symbol, kind, (symbol[:3], None, None), None, None, None)
            for symbol, kind in (
                ("BTC_USDC-FS-27JUN25_PERP", "spread"),
                ("BTC-CS-27JUN25-90000_100000", "combo"),
            )
        ),
        ("my venue", "BTC-USD-SWAP", None, (None, None, None), None, None, None),
    ],
)
def test_what_exchanges_document_is_filled_in(
    connection: Connection,
    exchange: str,
    symbol: str,
    kind: str | None,
    assets: tuple[str | None, ...],
    size: int | None,
    expiry: datetime | None,
    unit: str | None,
) -> None:
    connection.execute(
        "SELECT entasis.record_id_space(%s, %s, 'trade', 'feed')", [symbol, exchange]
    )
    found = market(connection, symbol, exchange)
    assert found["kind"] == kind
    assert (found["base"], found["quote"], found["settlement"]) == assets
    assert found["contract_size"] == size
    assert found["expiry"] == expiry
    assert found["volume_unit"] == unit
    assert found["source"] == "feed"


def test_plain_sql_records_what_is_known_too(connection: Connection) -> None:
    make_months(connection)
    set_market(connection, "BTC", "x", kind="spot")
    insert_trades(connection, trade(1, symbol="ETHUSD_PERP", exchange="binance-cm"), trade(1))
    oracle.refresh(connection)
    connection.execute("CALL entasis.maintain()")
    found = market(connection, "ETHUSD_PERP", "binance-cm")
    assert (found["source"], found["volume_unit"]) == ("sql", "contracts")
    assert found["contract_size"] == 10
    # it was on record before it had trades
    found = market(connection, "BTC", "x")
    assert (found["source"], found["kind"]) == ("sql", "spot")


def test_what_a_person_set_stays(connection: Connection, tmp_path: Path) -> None:
    assert set_market(
        connection,
        "BTCUSD_PERP",
        "binance-cm",
        kind="spread",
        contract_size=D("1000"),
        usual_gap="5 minutes",
    )
    ingest_trades(
        connection,
        [trade(1, symbol="BTCUSD_PERP", exchange="binance-cm")],
        source="feed",
        id_space="trade",
    )
    path = tmp_path / "exchangeInfo.json"
    path.write_text(json.dumps(COIN_M))
    import_instruments(connection, path)
    found = market(connection, "BTCUSD_PERP", "binance-cm")
    assert (found["kind"], found["contract_size"]) == ("spread", 1000)
    assert found["usual_gap"] == timedelta(minutes=5)
    assert found["set_by_hand"] == ["kind", "contract_size", "usual_gap"]
    # what nobody set is filled in
    assert (found["source"], found["id_space"], found["tick_size"]) == ("feed", "trade", D("0.1"))
    assert not set_market(connection, "BTCUSD_PERP", "binance-cm", contract_size=None)
    assert market(connection, "BTCUSD_PERP", "binance-cm")["contract_size"] is None
    assert import_instruments(connection, path).recorded == 1
    found = market(connection, "BTCUSD_PERP", "binance-cm")
    assert (found["kind"], found["contract_size"]) == ("spread", 100)
    assert found["set_by_hand"] == ["kind", "usual_gap"]


COIN_M: dict[str, Any] = {
    "symbols": [
        {
            "symbol": "BTCUSD_PERP",
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "contractStatus": "TRADING",
            "contractSize": 100,
            "marginAsset": "BTC",
            "baseAsset": "BTC",
            "quoteAsset": "USD",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
                {"filterType": "LOT_SIZE", "stepSize": "1"},
            ],
        }
    ]
}


def test_a_newer_list_replaces_what_an_older_one_said(
    connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "exchangeInfo.json"
    path.write_text(json.dumps(COIN_M))
    done = import_instruments(connection, path)
    assert (done.exchange, done.listed, done.recorded, done.faults) == ("binance-cm", 1, 1, [])
    assert import_instruments(connection, path).recorded == 0
    found = market(connection, "BTCUSD_PERP", "binance-cm")
    assert (found["is_active"], found["source"], found["id_space"]) == (True, None, None)
    # what it leaves out stays
    (listed,) = COIN_M["symbols"]
    changed = {**listed, "contractStatus": "PRE_DELIVERING", "filters": []}
    path.write_text(json.dumps({"symbols": [changed]}))
    assert import_instruments(connection, path).recorded == 1
    found = market(connection, "BTCUSD_PERP", "binance-cm")
    assert (found["is_active"], found["tick_size"]) == (False, D("0.1"))


@pytest.mark.native_speed
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "swap"}, "kind is one of spot, "),
        ({"volume_unit": "lots"}, "volume_unit is one of base, contracts, quote"),
        ({"contract_size": 0}, "markets_contract_size_exact"),
        ({"contract_size": Decimal("NaN")}, "markets_contract_size_exact"),
        ({"tick_size": "1e-19"}, "markets_tick_size_exact"),
        ({"lot_size": "Infinity"}, "markets_lot_size_exact"),
        ({"contract_size": "much"}, "invalid input syntax"),
        ({"contract_size": 0.1}, "a float"),
        ({"expiry": "infinity"}, "markets_expiry_finite"),
        ({"usual_gap": "-1 minute"}, "markets_usual_gap_bounded"),
        ({"base": "B" * 65}, "too long"),
        ({"quote": "\u202eUSD"}, "markets_assets_are_names"),
        ({"settlement": ""}, "markets_assets_are_names"),
        ({"id_space": "trade"}, "no 'id_space' to set"),
        ({"symbol": "X"}, "no 'symbol' to set"),
    ],
)
def test_a_value_that_there_is_not_is_refused(
    connection: Connection, settings: dict[str, Any], said: str
) -> None:
    if "symbol" in settings:
        with pytest.raises(TypeError):
            set_market(connection, "BTC", "x", **settings)
        return
    with pytest.raises(InstrumentError, match=said):
        set_market(connection, "BTC", "x", **settings)
    assert connection.execute("SELECT count(*) FROM entasis.markets").fetchone() == (0,)


def test_sql_refuses_a_column_that_cannot_be_set(connection: Connection) -> None:
    for name in ("id_space", "ids_rise", "source", "set_by_hand", "symbol"):
        with pytest.raises(errors.UndefinedColumn, match=name):
            connection.execute(
                "SELECT entasis.set_market('BTC', 'x', jsonb_build_object(%s::text, null))", [name]
            )


def test_a_time_without_a_zone_is_utc(connection: Connection) -> None:
    connection.execute("SET TIME ZONE 'America/New_York'")
    set_market(connection, "BTC", "x", expiry="2025-06-27 08:00")
    connection.execute(
        "SELECT entasis.record_instruments(%s)",
        ['[{"symbol": "ETH", "exchange": "x", "expiry": "2025-06-27 08:00"}]'],
    )
    assert market(connection, "BTC", "x")["expiry"] == AT_EIGHT
    assert market(connection, "ETH", "x")["expiry"] == AT_EIGHT


@pytest.mark.native_speed
@pytest.mark.parametrize(
    ("id_space", "named", "constraint"),
    [
        ("t" * 65, "feed", "markets_id_space_is_name"),
        ("", "feed", "markets_id_space_is_name"),
        ("trade ", "feed", "markets_id_space_is_name"),
        ("tr\u202eade", "feed", "markets_id_space_is_name"),
        ("trade", "f" * 1025, "markets_source_bounded"),
    ],
)
def test_texts_that_anybody_can_record_are_bounded(
    connection: Connection, id_space: str, named: str, constraint: str
) -> None:
    with pytest.raises(errors.CheckViolation, match=constraint):
        connection.execute("SELECT entasis.record_id_space('BTC', 'x', %s, %s)", [id_space, named])


def test_markets_are_listed_with_what_their_candles_cover(connection: Connection) -> None:
    make_months(connection)
    rows = [trade(n, timestamp=NOON + timedelta(days=n)) for n in (1, 2, 40)]
    ingest_trades(connection, rows, source="feed", id_space="trade")
    set_market(connection, "ETH", "y", contract_size=D("0.01"))
    oracle.refresh(connection)
    first, second = queries.markets().fetch(connection)
    assert (first.symbol, first.exchange, first.trades) == ("BTC", "x", 3)
    assert (first.first_trade, first.last_trade) == (rows[0].timestamp, rows[2].timestamp)
    assert (first.source, first.id_space, first.time_units) == ("feed", "trade", [])
    assert (second.symbol, second.trades, second.first_trade) == ("ETH", 0, None)
    assert (second.contract_size, second.set_by_hand) == (D("0.01"), ["contract_size"])
    assert second.source is None
    assert queries.markets("y").fetch(connection) == [second]
    assert queries.markets("z").fetch(connection) == []


def test_who_may_record_and_who_may_set(connection: Connection, server: Server) -> None:
    record = 'SELECT entasis.record_instruments(\'[{"symbol": "BTC", "exchange": "x"}]\')'
    set_it = "SELECT entasis.set_market('BTC', 'x', '{\"contract_size\": 100}')"
    allowed = {
        "entasis_reader": (False, False),
        "entasis_writer": (True, False),
        "entasis_admin": (True, True),
    }
    for role, expected in allowed.items():
        for statement, may in zip((record, set_it), expected, strict=True):
            with connection.transaction(force_rollback=True):
                connection.execute(f"SET LOCAL ROLE {role}")
                if may:
                    connection.execute(statement)
                else:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)


@pytest.mark.copy
def test_contracts_are_stored_as_sent_and_checked(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSD_PERP-trades-2021-05-01.csv"
    path.write_text(
        "150000001,57700.1,10,0.01733099,1619827200005,false\n"
        "150000002,57700.2,1,0.00173310,1619827200006,true\n"
        "150000003,57700.2,1,0.01733096,1619827200007,true\n"
    )
    loaded = load_trades(connection, path, exchange="binance-cm")
    assert (loaded.report.inserted, loaded.report.quarantined) == (2, 1)
    assert connection.execute(
        "SELECT line, code FROM entasis.quarantine WHERE payload::text LIKE '%0.01733096%'"
    ).fetchall() == [(3, "base_quantity")]
    assert connection.execute("SELECT sum(volume) FROM entasis.market_data").fetchone() == (11,)
    found = market(connection, "BTCUSD_PERP", "binance-cm")
    assert (found["volume_unit"], found["contract_size"]) == ("contracts", 100)
    # what a person says of the size is what is compared
    set_market(connection, "BTCUSD_PERP", "binance-cm", contract_size=1000)
    loaded = load_trades(connection, path, exchange="binance-cm")
    assert (loaded.report.inserted, loaded.report.quarantined) == (1, 2)


@pytest.mark.copy
def test_a_replacement_checks_contracts_too(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSD_PERP-trades-2025-06-01.csv"
    path.write_text(
        "id,price,qty,base_qty,time,is_buyer_maker\n"
        "950000001,104000.1,10,0.0961537,1748736000005,false\n"
    )
    with pytest.raises(LoadError, match="contracts of 100"):
        replace_trades(connection, path, exchange="binance-cm")
    path.write_text(path.read_text().replace("0.09", "0.009"))
    assert replace_trades(connection, path, exchange="binance-cm").added == 1


@pytest.mark.copy
def test_futures_of_a_stream_go_to_their_venues(connection: Connection, tmp_path: Path) -> None:
    path = tmp_path / "stream.csv"
    path.write_text(
        "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,"
        "Quantity,IsBuyerMarketMaker,XUnknownParameter\n"
        "1748736000200,s,trade,1748736000125,1748736000123,BTCUSDT,100,104000.1,0.5,true,MARKET\n"
        "1748736000200,s,trade,1748736000125,1748736000126,BTCUSDT_250627,103,104100,1,true,MARKET\n"
        "1748736000200,s,trade,1748736000125,1748736000126,BTCUSD_250627,104,104100,1,true,MARKET\n"
    )
    load_trades(connection, path)
    assert connection.execute(
        "SELECT exchange, symbol, kind, expiry FROM entasis.markets ORDER BY 1, 2"
    ).fetchall() == [
        ("binance-cm", "BTCUSD_250627", "inverse_future", AT_EIGHT),
        ("binance-usdm", "BTCUSDT", "linear_perpetual", None),
        ("binance-usdm", "BTCUSDT_250627", "linear_future", AT_EIGHT),
    ]
