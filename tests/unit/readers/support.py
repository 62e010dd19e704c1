"""Files for the readers' tests: layouts, times, packings."""

import gzip
import io
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entasis_db.model import OptionQuote, Trade
from entasis_db.readers import (
    OptionRow,
    TradeRow,
    read_options,
    read_trades,
)

ENTASIS = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"

DERIBIT = (
    "recv,instrument_name,timestamp,mark_iv,bid_iv,ask_iv,mark_price,underlying_price,"
    "open_interest,vega,theta,rho,gamma,delta\n"
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MS, US = 1723161257679, 1735689600123456


def plain(text: bytes) -> bytes:
    return text


def zipped(*members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, member in enumerate(members):
            archive.writestr(f"member{number}.csv", member)
    return buffer.getvalue()


PACKINGS: list[Callable[[bytes], bytes]] = [plain, gzip.compress, zipped]

packed = pytest.mark.parametrize("pack", PACKINGS, ids=["plain", "gzip", "zip"])

Write = Callable[..., Path]


def trades(path: Path | str, **options: Any) -> list[Trade]:
    rows = list(read_trades(path, **options))
    assert all(isinstance(row, TradeRow) for row in rows), rows
    return [row.trade for row in rows if isinstance(row, TradeRow)]


def quotes(path: Path) -> list[OptionQuote]:
    rows = list(read_options(path))
    assert all(isinstance(row, OptionRow) for row in rows), rows
    return [row.quote for row in rows if isinstance(row, OptionRow)]


AT_MS = datetime(2024, 8, 8, 23, 54, 17, 679000, tzinfo=UTC)


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def feed_standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    buffer = io.BufferedReader(Pipe(data))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=buffer))
