"""Exchanges' own lists of instruments: JSON as their interfaces answer it."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from entasis_db.errors import LoadError
from entasis_db.ingest.limits import is_name
from entasis_db.model import MarketKind, VolumeUnit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=100)
_ENTRIES = ("symbols", "optionSymbols", "result", "data")
_BYBIT = frozenset({"spot", "linear", "inverse", "option"})
_NEVER = datetime(2100, 1, 1, tzinfo=UTC)
"""Perpetual contracts are listed with an expiry in or after this year."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a list says of one instrument. None: nothing."""

    symbol: str
    """In the exchange's spelling."""
    kind: MarketKind | None = None
    """What is traded."""
    base: str | None = None
    """Currency or asset that is priced."""
    quote: str | None = None
    """Currency that prices are in."""
    settlement: str | None = None
    """Currency in which a contract is settled."""
    contract_size: Decimal | None = None
    """What one contract is worth: quote units for inverse contracts, base units for all others."""
    tick_size: Decimal | None = None
    """Smallest step of prices; quote units."""
    lot_size: Decimal | None = None
    """Smallest step of an order's size; in volume_unit."""
    expiry: datetime | None = None
    """When the contract expires; UTC. None: never, or not stated."""
    volume_unit: VolumeUnit | None = None
    """What the exchange's trades count."""
    is_active: bool | None = None
    """Whether it is traded."""


@dataclass(frozen=True, slots=True)
class InstrumentList:
    """An exchange's list of its instruments."""

    source: str
    """The file's base name."""
    exchange: str
    """The venue, as trades of it are stored."""
    instruments: Sequence[Instrument]
    """In the list's order."""
    faults: Sequence[str]
    """Why an entry could not be read, one line for each."""


def read_instruments(path: str | Path, *, exchange: str | None = None) -> InstrumentList:
    """Read a list of instruments, plain or gzipped.

    Known are Binance's ``exchangeInfo`` of spot, USD-M and COIN-M futures and options, Bybit's
    ``v5/market/instruments-info``, Deribit's ``public/get_instruments``, Kraken's ``AssetPairs``
    and OKX's ``public/instruments``. ``exchange`` is the name under which the venue is stored,
    where that is not binance-spot, binance-usdm, binance-cm, binance-european-options, bybit,
    deribit, kraken or okx. Raises LoadError for a file that cannot be read or is none of these.
    """
    path = Path(path)
    document = _json(path)
    entries, name, read = _recognised(document, path.name)
    instruments, faults = [], []
    for number, entry in enumerate(entries, 1):
        try:
            instrument = read(entry)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            faults.append(f"entry {number}: {type(error).__name__}: {str(error)[:200]}")
            continue
        fault = _fault(instrument)
        if fault:
            faults.append(f"entry {number}: {fault}")
        else:
            instruments.append(instrument)
    return InstrumentList(path.name, exchange or name, instruments, faults)


def _json(path: Path) -> Any:
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        return json.loads(data.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except OSError as error:
        raise LoadError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise LoadError(f"{path.name}: compressed data is damaged: {error}") from error
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{path.name}: this is no JSON: {error}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _recognised(document: Any, source: str) -> tuple[list[Any], str, Callable[[Any], Instrument]]:
    """Tell whose list it is: its entries, the venue, and what reads an entry."""
    entries = document
    if isinstance(document, dict):
        entries = next((document[key] for key in _ENTRIES if key in document), 0)
    if isinstance(entries, dict) and "category" in entries:
        category, listed = entries["category"], entries.get("list")
        read = {"spot": _bybit_spot, "option": _bybit_option}.get(category, _bybit_contract)
        if category in _BYBIT and isinstance(listed, list) and listed:
            return listed, "bybit", read
    if isinstance(entries, dict) and all(isinstance(e, dict) for e in entries.values()):
        pairs = [pair for pair in entries.values() if "altname" in pair and "pair_decimals" in pair]
        if pairs:
            # files name a pair one way, feeds another: "XBTUSD" and "XBT/USD"
            told = [{**p, "name": n} for p in pairs for n in (p["altname"], p.get("wsname")) if n]
            return told, "kraken", _kraken
    if isinstance(entries, list) and entries and isinstance(entries[0], dict):
        first = entries[0]
        if "instrument_name" in first:
            return entries, "deribit", _deribit
        if "instId" in first and "instType" in first:
            return entries, "okx", _okx
        if "symbol" in first and "optionSymbols" in document:
            return entries, "binance-european-options", _binance_option
        if "symbol" in first and "symbols" in document:
            if "contractSize" in first:
                return entries, "binance-cm", _binance_coin_m
            if "contractType" in first:
                return entries, "binance-usdm", _binance_usd_m
            return entries, "binance-spot", _binance_spot
    raise LoadError(
        f"{source}: no list of instruments is recognised; expected is the JSON of Binance's "
        "exchangeInfo (spot, USD-M, COIN-M or options), of Bybit's v5 market/instruments-info, of "
        "Deribit's public/get_instruments, of Kraken's AssetPairs or of OKX's public/instruments"
    )


def _binance_spot(entry: Mapping[str, Any]) -> Instrument:
    tick, lot = _binance_steps(entry)
    return Instrument(
        entry["symbol"],
        kind="spot",
        base=entry.get("baseAsset"),
        quote=entry.get("quoteAsset"),
        tick_size=tick,
        lot_size=lot,
        volume_unit="base",
        is_active=_is("TRADING", entry.get("status")),
    )


def _binance_usd_m(entry: Mapping[str, Any]) -> Instrument:
    tick, lot = _binance_steps(entry)
    perpetual = _is_perpetual(entry)
    kind: MarketKind = "linear_perpetual" if perpetual else "linear_future"
    return Instrument(
        entry["symbol"],
        kind=None if perpetual is None else kind,
        base=entry.get("baseAsset"),
        quote=entry.get("quoteAsset"),
        settlement=entry.get("marginAsset"),
        # its quantities are in units of the base
        contract_size=Decimal(1),
        tick_size=tick,
        lot_size=lot,
        expiry=None if perpetual else _moment(entry.get("deliveryDate")),
        volume_unit="base",
        is_active=_is("TRADING", entry.get("status")),
    )


def _binance_coin_m(entry: Mapping[str, Any]) -> Instrument:
    tick, lot = _binance_steps(entry)
    perpetual = _is_perpetual(entry)
    kind: MarketKind = "inverse_perpetual" if perpetual else "inverse_future"
    return Instrument(
        entry["symbol"],
        kind=None if perpetual is None else kind,
        base=entry.get("baseAsset"),
        quote=entry.get("quoteAsset"),
        settlement=entry.get("marginAsset"),
        contract_size=_step(entry["contractSize"]),
        tick_size=tick,
        lot_size=lot,
        expiry=None if perpetual else _moment(entry.get("deliveryDate")),
        volume_unit="contracts",
        is_active=_is("TRADING", entry.get("contractStatus", entry.get("status"))),
    )


def _binance_option(entry: Mapping[str, Any]) -> Instrument:
    tick, lot = _binance_steps(entry)
    quote, underlying = entry.get("quoteAsset"), str(entry.get("underlying") or "")
    return Instrument(
        entry["symbol"],
        kind="option",
        base=underlying.removesuffix(quote) or None if quote else None,
        quote=quote,
        settlement=quote,
        contract_size=_step(entry.get("unit")),
        tick_size=tick,
        lot_size=lot,
        expiry=_moment(entry.get("expiryDate")),
        volume_unit="contracts",
        # without a status, the list does not say
        is_active=_is("TRADING", entry.get("status")),
    )


def _is_perpetual(entry: Mapping[str, Any]) -> bool | None:
    """Tell by the contract's type; one that is settled has none, and is told by its name."""
    kind = str(entry.get("contractType") or "")
    if kind:
        return "PERPETUAL" in kind
    return False if re.search(r"_\d{6}$", entry["symbol"]) else None


def _binance_steps(entry: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    filters = {one.get("filterType"): one for one in entry.get("filters") or ()}
    return (
        _step(filters.get("PRICE_FILTER", {}).get("tickSize")),
        _step(filters.get("LOT_SIZE", {}).get("stepSize")),
    )


def _deribit(entry: Mapping[str, Any]) -> Instrument:
    listed = entry["kind"]
    base, settlement = entry.get("base_currency"), entry.get("settlement_currency")
    told = entry.get("instrument_type") or entry.get("future_type")
    if told:
        inverse = told == "reversed"
    else:  # lists of 2021 say neither, and had nothing but inverse futures quoted in USD
        inverse = entry.get("quote_currency") == "USD" and settlement in (None, base)
    expiry = _moment(entry.get("expiration_timestamp"))
    perpetual = entry.get("settlement_period") == "perpetual" or expiry is None
    future = "perpetual" if perpetual else "future"
    kinds: dict[Any, MarketKind] = {
        "spot": "spot",
        "option": "option",
        "future_combo": "spread",
        "option_combo": "combo",
        ("future", True, "perpetual"): "inverse_perpetual",
        ("future", True, "future"): "inverse_future",
        ("future", False, "perpetual"): "linear_perpetual",
        ("future", False, "future"): "linear_future",
    }
    return Instrument(
        entry["instrument_name"],
        kind=kinds.get((listed, inverse, future) if listed == "future" else listed),
        base=base,
        quote=entry.get("quote_currency"),
        settlement=settlement,
        contract_size=_step(entry.get("contract_size")),
        tick_size=_step(entry.get("tick_size")),
        lot_size=_step(entry.get("min_trade_amount")),
        expiry=None if perpetual else expiry,
        # its amounts of inverse futures, and of spreads of them, are in USD
        volume_unit="quote" if inverse and listed in {"future", "future_combo"} else "base",
        is_active=entry.get("is_active"),
    )


def _bybit(entry: Mapping[str, Any]) -> Instrument:
    """Read what all categories have."""
    return Instrument(
        entry["symbol"],
        base=entry.get("baseCoin"),
        quote=entry.get("quoteCoin"),
        tick_size=_step(_of(entry, "priceFilter", "tickSize")),
        volume_unit="base",
        is_active=_is("Trading", entry.get("status")),
    )


def _bybit_spot(entry: Mapping[str, Any]) -> Instrument:
    lot = _step(_of(entry, "lotSizeFilter", "basePrecision"))
    # as its trades are stored: a perpetual contract has the same name
    return replace(_bybit(entry), symbol=f"{entry['symbol']}-SPOT", kind="spot", lot_size=lot)


def _bybit_option(entry: Mapping[str, Any]) -> Instrument:
    return replace(
        _bybit(entry),
        kind="option",
        settlement=entry.get("settleCoin"),
        # quantities are in units of the base, of inverse contracts in USD
        contract_size=Decimal(1),
        lot_size=_step(_of(entry, "lotSizeFilter", "qtyStep")),
        expiry=_bybit_delivery(entry),
    )


def _bybit_contract(entry: Mapping[str, Any]) -> Instrument:
    kinds: dict[Any, MarketKind] = {
        "LinearPerpetual": "linear_perpetual",
        "LinearFutures": "linear_future",
        "InversePerpetual": "inverse_perpetual",
        "InverseFutures": "inverse_future",
    }
    kind = kinds.get(entry.get("contractType"))
    inverse = kind in {"inverse_perpetual", "inverse_future"}
    return replace(
        _bybit_option(entry),
        kind=kind,
        # of a perpetual contract, the time is when it will be delisted
        expiry=_bybit_delivery(entry) if kind in {"linear_future", "inverse_future"} else None,
        volume_unit="quote" if inverse else None if kind is None else "base",
    )


def _bybit_delivery(entry: Mapping[str, Any]) -> datetime | None:
    told = entry.get("deliveryTime")
    return None if told in (None, "", "0", 0) else _moment(told)


def _of(entry: Mapping[str, Any], group: str, name: str) -> object:
    return (entry.get(group) or {}).get(name) or None


def _kraken(entry: Mapping[str, Any]) -> Instrument:
    base, _, quote = str(entry.get("wsname") or "").partition("/")
    decimals = entry.get("lot_decimals")
    return Instrument(
        entry["name"],
        kind="spot",
        base=base or entry.get("base"),
        quote=quote or entry.get("quote"),
        tick_size=_step(entry.get("tick_size") or Decimal(1).scaleb(-entry["pair_decimals"])),
        lot_size=None if decimals is None else Decimal(1).scaleb(-decimals),
        volume_unit="base",
        is_active=_is("online", entry.get("status")),
    )


def _okx(entry: Mapping[str, Any]) -> Instrument:
    listed, told = entry["instType"], entry.get("ctType")
    kinds: dict[Any, MarketKind] = {
        ("SPOT", ""): "spot",
        ("OPTION", ""): "option",
        ("SWAP", "inverse"): "inverse_perpetual",
        ("SWAP", "linear"): "linear_perpetual",
        ("FUTURES", "inverse"): "inverse_future",
        ("FUTURES", "linear"): "linear_future",
    }
    base, quote = entry.get("baseCcy"), entry.get("quoteCcy")
    if not (base and quote):  # of contracts these are empty, and the underlying names them
        base, _, quote = str(entry.get("uly") or "").partition("-")
    size, times = _step(entry.get("ctVal") or None), _step(entry.get("ctMult") or None)
    return Instrument(
        entry["instId"],
        kind=kinds.get((listed, told or "")),
        base=base or None,
        quote=quote or None,
        settlement=entry.get("settleCcy") or None,
        contract_size=None if size is None or times is None else _EXACT.multiply(size, times),
        tick_size=_step(entry.get("tickSz") or None),
        lot_size=_step(entry.get("lotSz") or None),
        expiry=_moment(entry.get("expTime") or None),
        volume_unit="base" if listed in {"SPOT", "MARGIN"} else "contracts",
        is_active=_is("live", entry.get("state")),
    )


def _is(wanted: str, status: object) -> bool | None:
    return None if status is None else status == wanted


def _step(value: object) -> Decimal | None:
    """Read a number; 0 means that there is none."""
    if value is None:
        return None
    try:
        return Decimal(str(value)) or None
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None


def _moment(milliseconds: object) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        moment = _EPOCH + timedelta(milliseconds=int(str(milliseconds)))
    except OverflowError:
        return None
    return moment if moment < _NEVER else None


def _fault(instrument: Instrument) -> str | None:
    """Say what the database cannot hold."""
    if not is_name(instrument.symbol):
        return f"{instrument.symbol!r:.100} cannot name an instrument"
    for asset in (instrument.base, instrument.quote, instrument.settlement):
        if asset is not None and (not is_name(asset) or " " in asset):
            return f"{instrument.symbol}: {asset!r:.100} cannot name an asset"
    for size in (instrument.contract_size, instrument.tick_size, instrument.lot_size):
        if size is not None and not (
            size.is_finite() and 0 < size < 10**12 and size.normalize().as_tuple().exponent >= -18  # type: ignore[operator]
        ):
            return f"{instrument.symbol}: {size} is no size: above 0, below 1e12, 18 decimals"
    if not isinstance(instrument.is_active, bool | None):
        return f"{instrument.symbol}: {instrument.is_active!r} does not say whether it is active"
    return None
