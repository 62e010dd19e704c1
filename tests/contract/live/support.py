"""What the exchanges' captured messages say, read past cryptofeed and past the package."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.captures import Line, cryptofeed_release, messages

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Told(NamedTuple):
    """A trade as its exchange told it."""

    symbol: str
    exchange: str
    timestamp: datetime
    id: int
    price: Decimal
    volume: Decimal
    side: str


def milliseconds(number: str | int) -> datetime:
    return EPOCH + timedelta(milliseconds=int(number))


def digest(exchange: str, symbol: str, *what: object, place: int = 0) -> int:
    return text_digest("\t".join([str(place), exchange, symbol, *map(str, what)]))


def text_digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2


def fed(exchange: str, raw: Any, symbol: str = "BTC-USD", **changes: Any) -> Any:
    """Make what has the fields of cryptofeed's Trade, for messages of no capture at hand."""
    return SimpleNamespace(
        **{
            "exchange": exchange,
            "symbol": symbol,
            "raw": raw,
            "side": "buy",
            "id": None,
            "price": Decimal("2.5"),
            "amount": Decimal("0.1"),
            "timestamp": 0.0,
            **changes,
        }
    )


def _binance(lines: list[Line], name: str) -> Iterator[Told]:
    for m in (m["data"] for m in messages(lines) if "data" in m):
        if m.get("e") == "aggTrade":
            yield Told(
                *(m["s"], name, milliseconds(m["T"]), m["a"], Decimal(m["p"]), Decimal(m["q"])),
                "sell" if m["m"] else "buy",
            )


def _okx(lines: list[Line]) -> Iterator[Told]:
    for m in messages(lines):
        if m.get("arg", {}).get("channel") == "trades":
            for t in m.get("data", []):
                yield Told(
                    *(t["instId"], "okx", milliseconds(t["ts"]), int(t["tradeId"])),
                    *(Decimal(t["px"]), Decimal(t["sz"]), t["side"]),
                )


def _bybit(lines: list[Line]) -> Iterator[Told]:
    spot = {line["conn"] for line in lines if line.get("addr", "").endswith("/spot")}
    received = [line for line in lines if line["t"] == "recv"]
    for line, m in zip(received, messages(lines), strict=True):
        for t in m["data"]:
            if line["conn"] in spot:
                market = t["s"] + "-SPOT", "bybit", milliseconds(t["T"]), int(t["i"])
            else:
                number = text_digest(t["i"])
                market = t["s"], "bybit", milliseconds(t["T"]), number
            yield Told(*market, Decimal(t["p"]), Decimal(t["v"]), t["S"].lower())


def _coinbase(lines: list[Line]) -> Iterator[Told]:
    # cryptofeed 2 passes over the trades of before the subscription
    handed_over = {"update"} if cryptofeed_release() < 3 else {"update", "snapshot"}
    for m in messages(lines):
        for t in (t for e in m["events"] if e["type"] in handed_over for t in e["trades"]):
            moment = datetime.strptime(t["time"], "%Y-%m-%dT%H:%M:%S.%f%z")
            # the side is the maker's: those of SELL lie at the ask
            yield Told(
                *(t["product_id"], "coinbase", moment, int(t["trade_id"])),
                *(Decimal(t["price"]), Decimal(t["size"])),
                {"SELL": "buy", "BUY": "sell"}[t["side"]],
            )


def _kraken(lines: list[Line]) -> Iterator[Told]:
    for m in messages(lines):
        for t in m[1]:
            moment = EPOCH + timedelta(microseconds=int(Decimal(t[2]) * 1_000_000))
            standard = m[3].replace("/", "-").replace("XBT", "BTC")
            yield Told(
                *(m[3], "kraken", moment, digest("KRAKEN", standard, *t)),
                *(Decimal(t[0]), Decimal(t[1]), {"b": "buy", "s": "sell"}[t[3]]),
            )


def _phemex(lines: list[Line]) -> Iterator[Told]:
    products = {
        p["symbol"]: p
        for line in lines
        if line["t"] == "http"
        for p in json.loads(line["data"])["data"]["products"]
    }
    for m in messages(lines):
        alike: dict[str, int] = {}
        for t in m.get("trades", []):
            product = products[m["symbol"]]
            spot = product["type"] == "Spot"
            base, quote = (part.strip() for part in product["displaySymbol"].split("/"))
            standard = f"{base}-{quote}" + ("" if spot else "-PERP")
            place = alike.get(str(t), 0)
            alike[str(t)] = place + 1
            scale = 8 if spot else product["priceScale"]
            yield Told(
                *(m["symbol"], "phemex", EPOCH + timedelta(microseconds=t[0] // 1000)),
                digest("PHEMEX", standard, *t, place=place),
                Decimal(t[2]).scaleb(-scale),
                Decimal(t[3]).scaleb(-8) if spot else Decimal(t[3]),
                t[1].lower(),
            )


TOLD: dict[str, Callable[[list[Line]], Iterator[Told]]] = {
    "BINANCE": lambda lines: _binance(lines, "binance-spot"),
    "BINANCE_FUTURES": lambda lines: _binance(lines, "binance-usdm"),
    "BYBIT": _bybit,
    "COINBASE": _coinbase,
    "KRAKEN": _kraken,
    "OKX": _okx,
    "PHEMEX": _phemex,
}
"""By cryptofeed's id of the exchange: its captures hold trades."""
