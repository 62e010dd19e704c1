"""Rows as text and back, exactly: JSON of strings, so that no number passes through a float."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from entasis_db.queries import Candle, OptionQuote, Trade


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _encode_candle(c: Candle) -> list[Any]:
    return [
        c.symbol,
        c.exchange,
        c.bucket.isoformat(),
        str(c.open),
        str(c.high),
        str(c.low),
        str(c.close),
        str(c.volume),
        str(c.quote_volume),
        c.trades,
        c.opened_at and c.opened_at.isoformat(),
        c.first_trade_id,
        c.closed_at and c.closed_at.isoformat(),
        c.last_trade_id,
    ]


def _decode_candle(f: list[Any], number: Any = Decimal, time: Any = datetime.fromisoformat) -> Any:
    return Candle(
        f[0],
        f[1],
        time(f[2]),
        number(f[3]),
        number(f[4]),
        number(f[5]),
        number(f[6]),
        number(f[7]),
        number(f[8]),
        f[9],
        None if f[10] is None else time(f[10]),
        f[11],
        None if f[12] is None else time(f[12]),
        f[13],
    )


def _encode_trade(t: Trade) -> list[Any]:
    return [t.symbol, t.exchange, t.timestamp.isoformat(), t.id, str(t.price), str(t.volume)]


def _decode_trade(f: list[Any]) -> Trade:
    return Trade(f[0], f[1], datetime.fromisoformat(f[2]), f[3], Decimal(f[4]), Decimal(f[5]))


def _encode_quote(q: OptionQuote) -> list[Any]:
    greeks = (q.iv, q.delta, q.gamma, q.theta, q.vega)
    return [
        q.underlying,
        q.expiry_date.isoformat(),
        str(q.strike_price),
        q.option_type,
        q.timestamp.isoformat(),
        q.id,
        *(None if value is None else str(value) for value in greeks),
    ]


def _decode_quote(f: list[Any]) -> OptionQuote:
    return OptionQuote(
        f[0],
        datetime.fromisoformat(f[1]),
        Decimal(f[2]),
        f[3],
        datetime.fromisoformat(f[4]),
        f[5],
        *map(_number, f[6:]),
    )


_CODECS: dict[type, tuple[Callable[[Any], list[Any]], Callable[[list[Any]], Any]]] = {
    Candle: (_encode_candle, _decode_candle),
    Trade: (_encode_trade, _decode_trade),
    OptionQuote: (_encode_quote, _decode_quote),
}


def encode(rows: Sequence[Any], kind: type) -> bytes:
    """Write rows of one class."""
    to_fields, _ = _CODECS[kind]
    return json.dumps([to_fields(row) for row in rows], separators=(",", ":")).encode()


def decode(data: bytes, kind: type) -> tuple[Any, ...]:
    """Read what ``encode`` wrote: rows equal to those, in their order."""
    _, to_row = _CODECS[kind]
    # text, so that no encoding has to be guessed
    return tuple(map(to_row, json.loads(data.decode())))
