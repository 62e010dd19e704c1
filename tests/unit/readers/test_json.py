"""JSON as exchanges send it: every record once, every number by its text."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from entasis_db.errors import LoadError
from entasis_db.model import Trade
from entasis_db.readers import Rejected, read_options, read_trades
from entasis_db.readers.json_lines import lines_of

BASE = datetime(2025, 6, 1, tzinfo=UTC)
MS = 1748736000123
TRADE = (
    '{"trade_seq":48079573,"trade_id":"ETH-7","timestamp":1748736000123,"price":104000.5,'
    '"mark_price":104000.1,"instrument_name":"BTC-PERPETUAL","direction":"buy","amount":100.0}'
)
OTHER = TRADE.replace("48079573", "48079574").replace('"buy"', '"sell"')
CCXT = (
    '{"id":"15","timestamp":1748736000123,"datetime":"2025-06-01T00:00:00.123Z",'
    '"symbol":"BTC/USDT:USDT","side":"buy","price":104000.1,"amount":3.0,"info":{"a":[1]}}'
)
TICKER = (
    '{"timestamp":1748736000123,"instrument_name":"BTC-27JUN25-100000-C","mark_iv":45.2,'
    '"bid_iv":44.1,"ask_iv":46.2,"best_bid_price":0.069,"best_ask_price":null,"mark_price":0.07,'
    '"underlying_price":104500.1,"open_interest":120.5,"greeks":{"vega":110.1,"theta":-90.2,'
    '"rho":40.1,"gamma":2e-05,"delta":0.65}}'
)


def told(path: Path, text: str | bytes, **options: Any) -> list[Any]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_trades(path, **options))


@pytest.mark.parametrize(
    "text",
    [
        f"[{TRADE},{OTHER}]",
        f"{TRADE}\n{OTHER}\n",
        f"{TRADE}{OTHER}",
        json.dumps(json.loads(f"[{TRADE},{OTHER}]"), indent=2).replace("\n", "\r\n"),
        f'{{"jsonrpc":"2.0","id":7,"result":{{"trades":[{TRADE},{OTHER}],"has_more":true}}}}',
        f'{{"jsonrpc":"2.0","id":7,"result":[{TRADE},{OTHER}]}}',
        # a capture, with what is sent in between
        '{"jsonrpc":"2.0","id":1,"result":["trades.BTC-PERPETUAL.raw"]}\n'
        f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"t","data":[{TRADE}]}}}}\n'
        '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}\n'
        f'{{"jsonrpc":"2.0","method":"subscription","params":{{"channel":"t","data":[{OTHER}]}}}}\n',
        f"\ufeff \n[{TRADE},{OTHER}]",
        gzip.compress(f"[{TRADE},{OTHER}]".encode()),
    ],
)
def test_trades_of_deribit(tmp_path: Path, text: str | bytes) -> None:
    rows = told(tmp_path / "a", text)
    first = Trade(
        *(48079573, "BTC-PERPETUAL", "deribit", BASE + timedelta(milliseconds=123)),
        *(Decimal("104000.5"), Decimal("100.0"), "buy"),
    )
    assert [row.trade for row in rows] == [first, first._replace(id=48079574, side="sell")]
    assert [(row.line, row.id_space) for row in rows] == [(2, "trade_seq"), (3, "trade_seq")]


def test_a_number_is_what_its_text_says(tmp_path: Path) -> None:
    for number in ("0.1", "1e-18", "123456789012345678.123456789012345678", "1E+3", "5"):
        (row,) = told(tmp_path / "a", f"[{TRADE.replace('104000.5', number)}]")
        assert row.trade.price == Decimal(number)


def test_a_block_trade_is_marked_and_a_liquidation_is_none(tmp_path: Path) -> None:
    block = TRADE.replace('"amount"', '"block_trade_id":"BLOCK-1","amount"')
    forced = OTHER.replace('"amount"', '"liquidation":"T","amount"')
    rows = told(tmp_path / "a", f"[{block},{forced}]")
    assert [row.trade.excluded for row in rows] == ["block", None]


def test_its_number_in_the_market_is_the_id_as_it_is_live(tmp_path: Path) -> None:
    rows = told(tmp_path / "a", f"[{TRADE},{TRADE.replace('48079573', 'null')}]")
    assert rows[0].trade.id == 48079573
    assert rows[1].code == "id"


def test_trades_of_ccxt(tmp_path: Path) -> None:
    for given, symbol in (({}, "BTC/USDT:USDT"), ({"symbol": "BTC-USDT-SWAP"}, "BTC-USDT-SWAP")):
        (row,) = told(tmp_path / "a", f"[{CCXT}]", exchange="okx", **given)
        assert row.trade == Trade(
            *(15, symbol, "okx", BASE + timedelta(milliseconds=123)),
            *(Decimal("104000.1"), Decimal("3.0"), "buy"),
        )
    without = CCXT.replace('"15"', "null")
    (row,) = told(tmp_path / "a", f"[{without}]", exchange="kraken")
    assert row.id_space == "ordinal"
    with pytest.raises(LoadError, match="pass --exchange"):
        told(tmp_path / "a", f"[{CCXT}]")


def test_quotes_of_deribit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"[{TICKER}]")
    (row,) = read_options(tmp_path / "a")
    quote = row.quote
    assert (quote.underlying, quote.strike_price, quote.option_type) == ("BTC", 100000, "call")
    assert quote.timestamp == BASE + timedelta(milliseconds=123)
    told = (quote.iv, quote.bid_iv, quote.ask_iv, quote.gamma, quote.delta, quote.theta)
    assert told == tuple(map(Decimal, ("0.452", "0.441", "0.462", "0.00002", "0.65", "-90.2")))
    assert (quote.bid_price, quote.ask_price) == (Decimal("0.069"), None)
    assert (quote.vega, quote.rho) == (Decimal("110.1"), Decimal("40.1"))
    assert (quote.mark_price, quote.open_interest) == (Decimal("0.07"), Decimal("120.5"))
    assert quote.underlying_price == Decimal("104500.1")


TARDIS = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,"
    "last_price,bid_price,bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,"
    "underlying_index,underlying_price,delta,gamma,vega,theta,rho\n"
    "deribit,BTC-27JUN25-100000-C,1748736000123000,1748736000125001,call,100000,1751011200000000,"
    "120.5,0.06,0.069,10,44.1,,5,46.2,0.07,45.2,BTC-27JUN25,104500.1,0.65,0.00002,110.1,-90.2,40.1\n"
)


def test_a_chain_of_tardis_is_what_the_exchange_sent(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"[{TICKER}]")
    (tmp_path / "b").write_text(TARDIS)
    (sent,), (kept,) = read_options(tmp_path / "a"), read_options(tmp_path / "b")
    assert kept.quote == sent.quote


@pytest.mark.parametrize(
    ("said", "instead", "reason"),
    [
        ("deribit,", "okex-options,", "Deribit's are read"),
        (",call,", ",put,", "is not a put"),
        (",100000,", ",100001,", "is not a call at 100001"),
        ("1751011200000000", "1751011200000001", "until 1751011200000001"),
    ],
)
def test_a_chain_that_contradicts_itself(
    tmp_path: Path, said: str, instead: str, reason: str
) -> None:
    (tmp_path / "b").write_text(TARDIS.replace(said, instead))
    (row,) = read_options(tmp_path / "b")
    assert isinstance(row, Rejected)
    assert reason in row.reason


def test_what_is_no_record_of_its_kind_is_rejected(tmp_path: Path) -> None:
    broken = TRADE.replace("104000.5", "true")
    rows = told(tmp_path / "a", f"[{TRADE},{TICKER},{broken},{OTHER}]")
    assert [row.line for row in rows] == [2, 3, 4, 5]
    assert [row.code for row in rows if isinstance(row, Rejected)] == ["fields", "number"]
    assert "greeks" in rows[1].payload


def test_a_file_that_is_cut_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(f"[{TRADE},{OTHER[:-9]}")
    rows = iter(read_trades(path))
    assert next(rows).line == 2  # type: ignore[union-attr]
    with pytest.raises(LoadError, match=r"after record 1 .*fetch the file again"):
        next(rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "no trades and no quotes"),
        ('{"jsonrpc":"2.0","id":1,"result":[]}', "no trades and no quotes"),
        ('[{"open":1,"close":2}]', "unknown kind, with 'close, open'"),
        ("[1, 2]", "no trades and no quotes"),
        ('{"price": NaN}', "cut or damaged after record 0"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(LoadError, match=says):
        told(tmp_path / "a", text)


def test_trades_are_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"[{TRADE}]")
    with pytest.raises(LoadError, match="layout is not recognised"):
        read_options(tmp_path / "a")


def test_an_array_is_never_held_whole() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield b"["
        for taken in range(100_000):  # noqa: B007 - counted from outside
            yield TRADE.encode() + b","

    lines = lines_of("a", chunks())
    next(lines)
    assert len(next(lines)) == 2000
    assert taken < 10_000
