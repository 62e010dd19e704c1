"""JSON that exchanges answer and send, record by record, as the lines of a CSV.

So that everything behind (rows, rejections, ordinals, progress) is as for any other file. What is
read: Deribit's trades and tickers, as its interface answers (``get_last_trades_by_...``,
``ticker``) or its websocket sends them (docs.deribit.com); Bitstamp's transactions; Bitfinex'
trades (``hist``, and messages of its websocket); and what CCXT's ``fetch_trades`` returns
(docs.ccxt.com, "Trades"); each as one document, as an array, or as one document after the other, as
captures are.

A number is what its text says: none goes through a binary float.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

import ijson

from entasis_db.errors import LoadError

_BITFINEX = ("ID", "MTS", "AMOUNT", "PRICE")
"""What the four numbers are that Bitfinex tells of a trade, without names."""
_AT_ONCE = 2000
"""Records in a block."""


class _Kind(NamedTuple):
    """What a kind of record looks like, and what of it is read."""

    told_by: frozenset[str]
    """The names that each of them has, and no other kind."""
    columns: tuple[str, ...]
    """What is read: names, or two of them where one lies in the other."""
    flags: Mapping[str, tuple[str, ...]] = {}
    """Of a further column, ``excluded``: each word, and the names that say so, if one is there."""


_TICKER = (
    *("instrument_name", "timestamp", "mark_iv", "bid_iv", "ask_iv", "mark_price"),
    *("underlying_price", "open_interest", "greeks.vega", "greeks.theta", "greeks.rho"),
    *("greeks.gamma", "greeks.delta", "best_bid_price", "best_ask_price"),
)
_KINDS = (
    _Kind(
        frozenset({"instrument_name", "trade_seq", "direction", "amount", "price"}),
        # as live: what it calls trade_id is text of some currencies
        ("instrument_name", "trade_seq", "timestamp", "price", "amount", "direction"),
        {"block": ("block_trade_id",)},
    ),
    _Kind(frozenset({"instrument_name", "greeks", "mark_iv"}), _TICKER),
    _Kind(
        frozenset({"id", "datetime", "symbol", "side", "price", "amount"}),
        ("id", "timestamp", "symbol", "side", "price", "amount"),
    ),
    _Kind(
        frozenset({"tid", "date", "price", "amount", "type"}),
        ("tid", "date", "price", "amount", "type"),
    ),
    _Kind(frozenset(_BITFINEX), _BITFINEX),
)
DERIBIT_TRADES, DERIBIT_TICKERS, CCXT_TRADES, BITSTAMP_TRADES, BITFINEX_TRADES = (
    ",".join((*(name.split(".")[-1] for name in kind.columns), *(["excluded"] * bool(kind.flags))))
    for kind in _KINDS
)
"""The first lines that are made: by them the readers know the layouts."""
_HEADERS = (DERIBIT_TRADES, DERIBIT_TICKERS, CCXT_TRADES, BITSTAMP_TRADES, BITFINEX_TRADES)


def is_json(data: bytes) -> bool:
    """Tell by the beginning of a file whether it is JSON: no line of a CSV begins like it."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}


def lines_of(name: str, chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """Give the lines that a JSON file comes to, the header first, some at a time.

    Record N is line N + 1. Messages that carry no record (a heartbeat, the answer to a
    subscription) are left out. A record of another kind than the first is a line of one field,
    which no layout has. LoadError where the file is no JSON, after the records before that; or if
    its first record is of no known kind.
    """
    records = _records(name, chunks)
    first = next(records, None)
    if first is None:
        raise LoadError(f"{name}: this JSON has no trades and no quotes")
    place = next((n for n, kind in enumerate(_KINDS) if kind.told_by <= first.keys()), None)
    if place is None:
        raise LoadError(
            f"{name}: JSON of an unknown kind, with {', '.join(sorted(first))[:200]!a}; read are "
            "Deribit's trades and tickers, and trades of Bitstamp, Bitfinex and CCXT"
        )
    kind = _KINDS[place]
    yield [_HEADERS[place]]
    block: list[str] = []
    try:
        for record in chain([first], records):
            block.append(_line(kind, record))
            if len(block) == _AT_ONCE:
                yield block
                block = []
    except LoadError:
        # what was whole before the fault is read
        yield block
        raise
    yield block


def _records(name: str, chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Give what a file holds, one object after the other; numbers are integers and Decimals."""
    source = iter(chunks)
    start = b""
    for chunk in source:
        start += chunk
        if start.removeprefix(b"\xef\xbb\xbf").strip():
            break
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    # an array may be as long as it likes, and is never held whole
    inside = "item" if start.startswith(b"[") else ""
    given = 0
    try:
        for value in ijson.items(
            ijson.from_iter(chain([start], source)), inside, multiple_values=True
        ):
            for record in _unwrapped(value):
                yield record
                given += 1
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise LoadError(
            f"{name}: the JSON is cut or damaged after record {given} ({_first_line(error)}); rows "
            "up to there were read; fetch the file again and load it again: nothing is loaded twice"
        ) from None


def _unwrapped(value: Any) -> list[dict[str, Any]]:
    """Take out of an answer or a message what it carries."""
    for name in ("result", "params", "data", "trades"):
        if isinstance(value, dict) and isinstance(value.get(name), dict | list):
            value = value[name]
    if isinstance(value, dict):
        is_record = len(value) > 1 and not value.keys() & {"jsonrpc", "method"}
        return [value] if is_record else []
    if not isinstance(value, list):
        return []
    if len(value) == len(_BITFINEX) and all(isinstance(one, int | Decimal) for one in value):
        return [dict(zip(_BITFINEX, value, strict=True))]
    return [
        found for one in value for found in ([one] if isinstance(one, dict) else _unwrapped(one))
    ]


def _line(kind: _Kind, record: dict[str, Any]) -> str:
    if not kind.told_by <= record.keys():
        return _csv(["a record of another kind: " + " ".join(sorted(record))])
    fields = [_text(record, name) for name in kind.columns]
    if kind.flags:
        said = (w for w, names in kind.flags.items() if any(record.get(n) for n in names))
        fields.append(next(said, ""))
    return _csv(fields)


def _text(record: dict[str, Any], name: str) -> str:
    outer, _, inner = name.partition(".")
    value = record.get(outer)
    if inner:
        value = value.get(inner) if isinstance(value, dict) else None
    if value is None:
        return ""
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        # a record is one line
        return str(value).replace("\r", "\\r").replace("\n", "\\n")
    return f"not a number or text: {type(value).__name__}"


def _csv(fields: list[str]) -> str:
    if not any(c in field for field in fields for c in ',"'):
        return ",".join(fields)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
