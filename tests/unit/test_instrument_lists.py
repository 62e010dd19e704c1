"""Exchanges' own lists of instruments, as their interfaces answer them."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.readers.instruments import Instrument, InstrumentList, read_instruments

D = Decimal
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.10", "tickSize": "0.10000000"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "stepSize": "0.5"},
]
SPOT = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "filters": FILTERS,
}
USD_M = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": FILTERS,
}
QUARTERLY = {
    **USD_M,
    "symbol": "BTCUSDT_250627",
    "contractType": "CURRENT_QUARTER",
    "deliveryDate": 1751011200000,
    "status": "SETTLING",
}
COIN_M = {
    "symbol": "ETHUSD_250627",
    "contractType": "NEXT_QUARTER",
    "deliveryDate": 1751011200000,
    "contractStatus": "TRADING",
    "contractSize": 10,
    "marginAsset": "ETH",
    "baseAsset": "ETH",
    "quoteAsset": "USD",
    "filters": FILTERS,
}
DERIBIT = {
    "kind": "future",
    "instrument_name": "BTC-PERPETUAL",
    "instrument_type": "reversed",
    "settlement_period": "perpetual",
    "expiration_timestamp": 32503708800000,
    "base_currency": "BTC",
    "quote_currency": "USD",
    "settlement_currency": "BTC",
    "contract_size": 10,
    "tick_size": 0.5,
    "min_trade_amount": 10,
    "is_active": True,
}
IN_JUNE = datetime(2025, 6, 27, 8, tzinfo=UTC)


def read(tmp_path: Path, document: Any, **options: Any) -> InstrumentList:
    path = tmp_path / "list.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_instruments(path, **options)


def only(found: InstrumentList) -> Instrument:
    assert list(found.faults) == []
    (instrument,) = found.instruments
    return instrument


def test_binance_spot(tmp_path: Path) -> None:
    found = read(tmp_path, {"timezone": "UTC", "symbols": [SPOT]})
    assert found.exchange == "binance-spot"
    assert only(found) == Instrument(
        "BTCUSDT",
        kind="spot",
        base="BTC",
        quote="USDT",
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        volume_unit="base",
        is_active=True,
    )


def test_binance_usd_m(tmp_path: Path) -> None:
    delisted = {**QUARTERLY, "contractType": ""}
    found = read(tmp_path, {"futuresType": "U_MARGINED", "symbols": [USD_M, QUARTERLY, delisted]})
    assert found.exchange == "binance-usdm"
    perpetual, quarterly, settled = found.instruments
    assert perpetual == Instrument(
        "BTCUSDT",
        kind="linear_perpetual",
        base="BTC",
        quote="USDT",
        settlement="USDT",
        contract_size=D(1),
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        volume_unit="base",
        is_active=True,
    )
    assert (quarterly.kind, quarterly.expiry) == ("linear_future", IN_JUNE)
    assert quarterly.is_active is False
    assert settled == quarterly


def test_binance_coin_m(tmp_path: Path) -> None:
    found = read(tmp_path, {"symbols": [COIN_M]}, exchange="binance-coin")
    assert found.exchange == "binance-coin"
    assert only(found) == Instrument(
        "ETHUSD_250627",
        kind="inverse_future",
        base="ETH",
        quote="USD",
        settlement="ETH",
        contract_size=D(10),
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        expiry=IN_JUNE,
        volume_unit="contracts",
        is_active=True,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            Instrument(
                "BTC-PERPETUAL",
                kind="inverse_perpetual",
                base="BTC",
                quote="USD",
                settlement="BTC",
                contract_size=D(10),
                tick_size=D("0.5"),
                lot_size=D(10),
                volume_unit="quote",
                is_active=True,
            ),
        ),
        (
            {
                "instrument_name": "BTC_USDC-27JUN25",
                "instrument_type": "linear",
                "settlement_period": "month",
                "expiration_timestamp": 1751011200000,
                "quote_currency": "USDC",
                "settlement_currency": "USDC",
                "contract_size": 0.001,
                "tick_size": 1e-05,
            },
            Instrument(
                "BTC_USDC-27JUN25",
                kind="linear_future",
                base="BTC",
                quote="USDC",
                settlement="USDC",
                contract_size=D("0.001"),
                tick_size=D("0.00001"),
                lot_size=D(10),
                expiry=IN_JUNE,
                volume_unit="base",
                is_active=True,
            ),
        ),
        (
            {
                "kind": "option",
                "instrument_name": "BTC-27JUN25-100000-C",
                "settlement_period": "month",
                "expiration_timestamp": 1751011200000,
                "quote_currency": "BTC",
                "contract_size": 1,
                "tick_size": 0.0005,
                "min_trade_amount": 0.1,
                "is_active": False,
            },
            Instrument(
                "BTC-27JUN25-100000-C",
                kind="option",
                base="BTC",
                quote="BTC",
                settlement="BTC",
                contract_size=D(1),
                tick_size=D("0.0005"),
                lot_size=D("0.1"),
                expiry=IN_JUNE,
                volume_unit="base",
                is_active=False,
            ),
        ),
    ],
)
def test_deribit(tmp_path: Path, changes: dict[str, Any], expected: Instrument) -> None:
    found = read(tmp_path, {"jsonrpc": "2.0", "result": [{**DERIBIT, **changes}]})
    assert found.exchange == "deribit"
    assert only(found) == expected
    assert only(read(tmp_path, [{**DERIBIT, **changes}])) == expected


@pytest.mark.parametrize(
    ("symbol", "quote", "settlement", "kind", "unit"),
    [
        ("BTC-25MAR22", "USD", None, "inverse_future", "quote"),
        ("BTC-25MAR22", "USD", "BTC", "inverse_future", "quote"),
        ("BTC_USDC-25MAR22", "USDC", "USDC", "linear_future", "base"),
    ],
)
def test_deribit_before_it_said_which_are_inverse(
    tmp_path: Path, symbol: str, quote: str, settlement: str | None, kind: str, unit: str
) -> None:
    changes = {
        "instrument_name": symbol,
        "settlement_period": "month",
        "expiration_timestamp": 1648195200000,
        "quote_currency": quote,
        "settlement_currency": settlement,
    }
    entry = {**DERIBIT, **changes}
    del entry["instrument_type"]
    found = only(read(tmp_path, {"result": [entry]}))
    assert (found.kind, found.volume_unit) == (kind, unit)


OKX = {
    "instId": "BTC-USD-SWAP",
    "instType": "SWAP",
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "BTC",
    "uly": "BTC-USD",
    "ctType": "inverse",
    "ctVal": "100",
    "ctMult": "1",
    "ctValCcy": "USD",
    "expTime": "",
    "lotSz": "1",
    "tickSz": "0.1",
    "state": "live",
}


OKX_CASES = [
    (
        {},
        Instrument(
            "BTC-USD-SWAP",
            kind="inverse_perpetual",
            base="BTC",
            quote="USD",
            settlement="BTC",
            contract_size=D(100),
            tick_size=D("0.1"),
            lot_size=D(1),
            volume_unit="contracts",
            is_active=True,
        ),
    ),
    (
        {
            "instId": "BTC-USDT",
            "instType": "SPOT",
            "baseCcy": "BTC",
            "quoteCcy": "USDT",
            **dict.fromkeys(("settleCcy", "uly", "ctType", "ctVal", "ctMult", "ctValCcy"), ""),
        },
        Instrument(
            "BTC-USDT",
            kind="spot",
            base="BTC",
            quote="USDT",
            tick_size=D("0.1"),
            lot_size=D(1),
            volume_unit="base",
            is_active=True,
        ),
    ),
    (
        {
            "instId": "BTC-USDT-250627",
            "instType": "FUTURES",
            "settleCcy": "USDT",
            "uly": "BTC-USDT",
            "ctType": "linear",
            "ctVal": "0.01",
            "ctValCcy": "BTC",
            "expTime": "1751011200000",
            "state": "suspend",
        },
        Instrument(
            "BTC-USDT-250627",
            kind="linear_future",
            base="BTC",
            quote="USDT",
            settlement="USDT",
            contract_size=D("0.01"),
            tick_size=D("0.1"),
            lot_size=D(1),
            expiry=IN_JUNE,
            volume_unit="contracts",
            is_active=False,
        ),
    ),
    (
        {
            "instId": "BTC-USD-250627-100000-C",
            "instType": "OPTION",
            "ctType": "",
            "ctVal": "1",
            "ctMult": "0.1",
            "expTime": "1751011200000",
        },
        Instrument(
            "BTC-USD-250627-100000-C",
            kind="option",
            base="BTC",
            quote="USD",
            settlement="BTC",
            contract_size=D("0.1"),
            tick_size=D("0.1"),
            lot_size=D(1),
            expiry=IN_JUNE,
            volume_unit="contracts",
            is_active=True,
        ),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), OKX_CASES)
def test_okx(tmp_path: Path, changes: dict[str, str], expected: Instrument) -> None:
    found = read(tmp_path, {"code": "0", "data": [{**OKX, **changes}]})
    assert found.exchange == "okx"
    assert only(found) == expected


BYBIT = {
    "symbol": "BTCUSD",
    "contractType": "InversePerpetual",
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USD",
    "settleCoin": "BTC",
    "deliveryTime": "0",
    "priceFilter": {"minPrice": "0.50", "tickSize": "0.50"},
    "lotSizeFilter": {"minOrderQty": "1", "qtyStep": "1"},
}
INVERSE = Instrument(
    "BTCUSD",
    kind="inverse_perpetual",
    base="BTC",
    quote="USD",
    settlement="BTC",
    contract_size=D(1),
    tick_size=D("0.5"),
    lot_size=D(1),
    volume_unit="quote",
    is_active=True,
)
IN_USDT = {"quoteCoin": "USDT", "settleCoin": "USDT"}
LINEAR = replace(INVERSE, quote="USDT", settlement="USDT", volume_unit="base")


@pytest.mark.parametrize(
    ("category", "changes", "expected"),
    [
        ("inverse", {}, INVERSE),
        # one that will be delisted is none that expires
        ("inverse", {"deliveryTime": "1751011200000"}, INVERSE),
        (
            "inverse",
            {
                "symbol": "BTCUSDM25",
                "contractType": "InverseFutures",
                "deliveryTime": "1751011200000",
            },
            replace(INVERSE, symbol="BTCUSDM25", kind="inverse_future", expiry=IN_JUNE),
        ),
        (
            "linear",
            {"symbol": "BTCUSDT", "contractType": "LinearPerpetual", **IN_USDT, "status": "Closed"},
            replace(LINEAR, symbol="BTCUSDT", kind="linear_perpetual", is_active=False),
        ),
        (
            "linear",
            {
                "symbol": "BTC-27JUN25",
                "contractType": "LinearFutures",
                **IN_USDT,
                "deliveryTime": "1751011200000",
            },
            replace(LINEAR, symbol="BTC-27JUN25", kind="linear_future", expiry=IN_JUNE),
        ),
        (
            "linear",
            {"contractType": "QuantoFutures", "deliveryTime": "1751011200000"},
            replace(INVERSE, kind=None, volume_unit=None),
        ),
        (
            "option",
            {
                "symbol": "BTC-27JUN25-100000-C-USDT",
                "optionsType": "Call",
                **IN_USDT,
                "deliveryTime": "1751011200000",
            },
            replace(LINEAR, symbol="BTC-27JUN25-100000-C-USDT", kind="option", expiry=IN_JUNE),
        ),
        (
            "spot",
            {**IN_USDT, "lotSizeFilter": {"basePrecision": "0.000001", "minOrderQty": "0.01"}},
            Instrument(
                "BTCUSD-SPOT",
                kind="spot",
                base="BTC",
                quote="USDT",
                tick_size=D("0.5"),
                lot_size=D("0.000001"),
                volume_unit="base",
                is_active=True,
            ),
        ),
    ],
)
def test_bybit(
    tmp_path: Path, category: str, changes: dict[str, Any], expected: Instrument
) -> None:
    result = {"category": category, "list": [{**BYBIT, **changes}], "nextPageCursor": ""}
    found = read(tmp_path, {"retCode": 0, "retMsg": "OK", "result": result})
    assert found.exchange == "bybit"
    assert only(found) == expected


def test_kraken(tmp_path: Path) -> None:
    pair = {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "tick_size": "0.1",
        "ordermin": "0.0001",
        "status": "online",
    }
    bare = {"altname": "XBTEUR.d", "pair_decimals": 2, "base": "XXBT", "quote": "ZEUR"}
    listed = {"XXBTZUSD": pair, "XXBTZEUR.d": {**bare, "status": "cancel_only"}}
    found = read(tmp_path, {"error": [], "result": listed})
    named = Instrument(
        "XBTUSD",
        kind="spot",
        base="XBT",
        quote="USD",
        tick_size=D("0.1"),
        lot_size=D("1E-8"),
        volume_unit="base",
        is_active=True,
    )
    dark = replace(
        named, symbol="XBTEUR.d", base="XXBT", quote="ZEUR", tick_size=D("0.01"), lot_size=None
    )
    assert (found.exchange, found.faults) == ("kraken", [])
    assert found.instruments == [
        *(named, replace(named, symbol="XBT/USD"), replace(dark, is_active=False)),
    ]


def test_binance_options(tmp_path: Path) -> None:
    entry = {
        "symbol": "BTC-250627-100000-C",
        "side": "CALL",
        "strikePrice": "100000",
        "underlying": "BTCUSDT",
        "unit": 1,
        "quoteAsset": "USDT",
        "expiryDate": 1751011200000,
        "filters": FILTERS,
    }
    expected = Instrument(
        "BTC-250627-100000-C",
        kind="option",
        base="BTC",
        quote="USDT",
        settlement="USDT",
        contract_size=D(1),
        tick_size=D("0.1"),
        lot_size=D("0.001"),
        expiry=IN_JUNE,
        volume_unit="contracts",
    )
    found = read(tmp_path, {"timezone": "UTC", "optionAssets": [], "optionSymbols": [entry]})
    assert found.exchange == "binance-european-options"
    assert only(found) == expected
    halted = {**entry, "status": "HALT"}
    assert only(read(tmp_path, {"optionSymbols": [halted]})) == replace(expected, is_active=False)


@pytest.mark.parametrize(("kind", "told"), [("future_combo", "spread"), ("option_combo", "combo")])
def test_combinations(tmp_path: Path, kind: str, told: str) -> None:
    assert only(read(tmp_path, [{**DERIBIT, "kind": kind}])).kind == told


def test_entries_that_cannot_be_held_are_told_and_the_others_kept(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        {
            "symbols": [
                SPOT,
                {**SPOT, "symbol": "X" * 65},
                {"status": "TRADING"},
                {**SPOT, "filters": [{"filterType": "PRICE_FILTER", "tickSize": "much"}]},
                {**SPOT, "filters": [{"filterType": "PRICE_FILTER", "tickSize": "1e-19"}]},
                {**SPOT, "baseAsset": "B TC"},
                "BTCUSDT",
            ]
        },
    )
    assert [one.symbol for one in found.instruments] == ["BTCUSDT"]
    assert [fault.split(":")[0] for fault in found.faults] == [f"entry {n}" for n in range(2, 8)]


def test_a_step_of_zero_is_none(tmp_path: Path) -> None:
    entry = {**SPOT, "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.00000000"}]}
    assert only(read(tmp_path, {"symbols": [entry]})).tick_size is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"result": {"category": "linear", "list": []}}',
        '{"result": {"category": "shoes", "list": [{"symbol": "BTCUSD"}]}}',
        '{"result": {"category": "linear", "list": {"symbol": "BTCUSD"}}}',
        '{"symbols": []}',
        '[{"symbol": "BTCUSDT"}]',
        "null",
        '{"result": 1}',
    ],
)
def test_what_is_no_list_of_instruments_is_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(LoadError, match=r"list\.json: "):
        read(tmp_path, document)


def test_a_list_may_be_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "list.json.gz"
    data = gzip.compress(json.dumps({"symbols": [SPOT]}).encode())
    path.write_bytes(data)
    assert only(read_instruments(path)).symbol == "BTCUSDT"
    path.write_bytes(data[:-12])
    with pytest.raises(LoadError, match="damaged"):
        read_instruments(path)
    with pytest.raises(LoadError, match="cannot be read"):
        read_instruments(tmp_path / "missing.json")
