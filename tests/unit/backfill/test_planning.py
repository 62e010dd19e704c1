"""Which public files are named for what is missing, and which are found."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.backfill import Filled, Plan, Span, is_answered, read_spans, span_of
from entasis_db.backfill.archives import ARCHIVES, Kind, stem_of
from entasis_db.backfill.planning import MANY_DAYS, plan
from entasis_db.errors import LoadError
from entasis_db.quality import Gap

NOW = datetime(2025, 8, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPOT_ROW = "1,100,1,100,1748736000123,True,True\n"
FUTURES_ROW = "1,100,1,100,1748736000123,true\n"
VISION = "https://data.binance.vision/data"


def at(day: int, hour: int = 0, month: int = 6) -> datetime:
    return datetime(2025, month, day, hour, tzinfo=UTC)


def planned(
    exchange: str,
    symbol: str,
    first: datetime,
    until: datetime,
    folder: Path | None = None,
    kind: Kind = "trades",
    interval: str | None = None,
    id_space: str | None = None,
) -> Plan:
    spaces = {} if id_space is None else {(symbol, exchange): id_space}
    span = span_of(symbol, exchange, first, until)
    return plan([span], folder, now=NOW, kind=kind, interval=interval, id_spaces=spaces)


def urls(found: Plan) -> list[str]:
    assert not found.unfillable
    return [one.url for one in found.missing]


def lay(folder: Path, name: str, text: str = FUTURES_ROW) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind", "interval", "id_space", "url"),
    [
        (
            *("binance-spot", "BTCUSDT", "trades", None, None),
            f"{VISION}/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-06-01.zip",
        ),
        (
            *("binance-usdm", "BTCUSDT", "trades", None, "aggtrade"),
            f"{VISION}/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-06-01.zip",
        ),
        (
            *("binance-cm", "BTCUSD_PERP", "candles", "1m", "aggtrade"),
            f"{VISION}/futures/cm/daily/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2025-06-01.zip",
        ),
        (
            *("binance-spot", "BTCUSDT", "candles", "1mo", None),
            f"{VISION}/spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-2025-06.zip",
        ),
        (
            *("bybit", "BTCUSDT", "trades", None, "digest"),
            "https://public.bybit.com/trading/BTCUSDT/BTCUSDT2025-06-01.csv.gz",
        ),
        (
            *("bybit", "BTCUSDT-SPOT", "trades", None, "ordinal"),
            "https://public.bybit.com/spot/BTCUSDT/BTCUSDT_2025-06-01.csv.gz",
        ),
        (
            *("deribit", "BTC-PERPETUAL", "trades", None, "trade"),
            "https://datasets.tardis.dev/v1/deribit/trades/2025/06/01/BTC-PERPETUAL.csv.gz",
        ),
    ],
)
def test_public_names(
    exchange: str,
    symbol: str,
    kind: Kind,
    interval: str | None,
    id_space: str | None,
    url: str,
) -> None:
    found = planned(exchange, symbol, at(1, 3), at(1, 4), None, kind, interval, id_space)
    assert urls(found) == [url]


def test_days_of_okx_are_those_of_hong_kong() -> None:
    found = planned("okx", "BTC-USDT-SWAP", at(1, 15), at(1, 17))
    assert [url.partition("trades/")[2] for url in urls(found)] == [
        f"daily/202506{day}/BTC-USDT-SWAP-trades-2025-06-{day}.zip" for day in ("01", "02")
    ]
    assert [(one.begin, one.end) for one in found.files] == [
        (at(1) - 8 * DAY / 24, at(1, 16)),
        (at(1, 16), at(2, 16)),
    ]


def test_what_arrived_after_midnight_stands_in_the_next_day_of_tardis() -> None:
    end = at(2) - timedelta(seconds=5)
    assert len(urls(planned("deribit", "BTC-PERPETUAL", at(1, 23), end))) == 2
    assert len(urls(planned("binance-spot", "BTCUSDT", at(1, 23), end))) == 1


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind", "id_space", "reason"),
    [
        ("kraken", "XBTUSD", "trades", None, "no public files of kraken are known"),
        ("okex", "BTC-USDT", "trades", None, "no public files of okex are known; is it okx?"),
        ("bybit", "BTCUSDT", "candles", None, "Bybit publishes no files of candles"),
        ("binance-spot", "BTCUSDT", "trades", "digest", "of the kind digest, and those of public"),
        ("bybit", "BTCUSDT-SPOT", "trades", "digest", "count trades twice"),
    ],
)
def test_what_no_file_can_fill(
    exchange: str, symbol: str, kind: Kind, id_space: str | None, reason: str
) -> None:
    found = planned(exchange, symbol, at(1), at(2), None, kind, None, id_space)
    assert found.files == []
    assert reason in found.unfillable[0].reason


def test_a_day_that_is_not_over() -> None:
    silence = Span("BTCUSDT", "binance-spot", NOW - 2 * DAY, None)
    found = plan([silence], None, now=NOW)
    assert [one.url[-14:-4] for one in found.missing] == ["2025-08-18", "2025-08-19"]
    (today,) = found.unfillable
    assert (today.begin, today.end) == (silence.first, None)
    assert "not over" in today.reason
    assert plan([silence], None, now=NOW - 3 * DAY).files == []


@given(first=st.integers(0, 100), length=st.integers(1, 120))
def test_named_files_hold_the_whole_range_and_days_are_preferred(first: int, length: int) -> None:
    begin = datetime(2024, 11, 1, tzinfo=UTC) + first * DAY
    found = planned("binance-spot", "BTCUSDT", begin, begin + length * DAY)
    files = sorted(found.files, key=lambda one: one.begin)
    at = begin
    for one in files:
        assert one.begin <= at
        at = one.end
    assert at >= begin + length * DAY
    for one in files:
        days = (min(one.end, begin + length * DAY) - max(one.begin, begin)) // DAY
        assert (days >= MANY_DAYS) == ("/monthly/" in one.url)


def test_a_month_is_not_named_before_it_is_published(tmp_path: Path) -> None:
    found = planned("binance-spot", "BTCUSDT", at(1, month=8), at(20, month=8))
    assert len(urls(found)) == 19


def test_files_are_found_at_any_depth_and_of_the_right_venue(tmp_path: Path) -> None:
    spot = lay(tmp_path, "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-06-01.zip", "?")
    lay(tmp_path, "data/futures/cm/daily/trades/BTCUSDT/BTCUSDT-trades-2025-06-02.zip", "?")
    flat = lay(tmp_path, "new/btcusdt-trades-2025-06-03 (1).csv")
    lay(tmp_path, "new/BTCUSDT-trades-2025-06-04.csv.partial")

    def paths(exchange: str) -> list[Path | None]:
        found = planned(exchange, "BTCUSDT", at(1), at(5), tmp_path)
        return [one.path for one in found.files]

    assert paths("binance-spot") == [spot, None, None, None]
    # what no folder tells, the columns do
    assert paths("binance-usdm") == [None, None, flat, None]
    flat.write_text(SPOT_ROW)
    assert paths("binance-spot") == [spot, None, flat, None]


def test_klines_say_nothing_of_their_venue_and_need_its_folder(tmp_path: Path) -> None:
    lay(tmp_path, "BTCUSDT-1m-2025-06-01.zip")
    um = lay(tmp_path, "um/BTCUSDT-1m-2025-06-02.zip")
    found = planned("binance-usdm", "BTCUSDT", at(1), at(3), tmp_path, "candles", "1m")
    assert [one.path for one in found.files] == [None, um]


def test_a_month_that_lies_there_counts(tmp_path: Path) -> None:
    month = lay(tmp_path, "um/BTCUSDT-trades-2025-06.zip")
    found = planned("binance-usdm", "BTCUSDT", at(1), at(3), tmp_path)
    assert [one.path for one in found.files] == [month]
    days = [lay(tmp_path, f"um/BTCUSDT-trades-2025-06-0{day}.zip") for day in (1, 2)]
    found = planned("binance-usdm", "BTCUSDT", at(1), at(3), tmp_path)
    assert [one.path for one in found.files] == days
    found = planned("binance-usdm", "BTCUSDT", at(1), at(4), tmp_path)
    assert [one.path for one in found.files] == [month]
    spot = lay(tmp_path, "BTCUSDT-2025-06.csv.gz")
    found = planned("bybit", "BTCUSDT-SPOT", at(1), at(3), tmp_path)
    assert [one.path for one in found.files] == [spot]


def test_many_days_beside_some_that_lie_there(tmp_path: Path) -> None:
    day = lay(tmp_path, "um/BTCUSDT-trades-2025-06-05.zip")
    found = planned("binance-usdm", "BTCUSDT", at(1), at(20), tmp_path)
    assert [one.path for one in found.files] == [day, None]
    assert found.missing[0].url.endswith("BTCUSDT-trades-2025-06.zip")


def test_files_of_tardis_under_both_of_their_names(tmp_path: Path) -> None:
    one = lay(tmp_path, "deribit_trades_2025-06-01_BTC-PERPETUAL.csv.gz")
    other = lay(tmp_path, "v1/deribit/trades/2025/06/02/BTC-PERPETUAL.csv.gz")
    lay(tmp_path, "v1/bitmex/trades/2025/06/03/BTC-PERPETUAL.csv.gz")
    found = planned("deribit", "BTC-PERPETUAL", at(1), at(4) - DAY / 24, tmp_path)
    assert [file.path for file in found.files] == [one, other, None]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no such folder"):
        planned("okx", "BTC-USDT", at(1), at(2), tmp_path / "there")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("BTCUSDT-trades-2025-06-01.zip", "btcusdt-trades-2025-06-01"),
        ("BTCUSDT-trades-2025-06-01 (2).csv.gz", "btcusdt-trades-2025-06-01"),
        ("BTCUSDT-trades-2025-06-01 - Copy.csv", "btcusdt-trades-2025-06-01"),
        ("BTCUSDT-trades-2025-06-01.zip.partial", "btcusdt-trades-2025-06-01.zip.partial"),
        ("BTCUSDT-trades-2025-06-01.zip.CHECKSUM", "btcusdt-trades-2025-06-01.zip.checksum"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_ranges_from_files(tmp_path: Path) -> None:
    path = tmp_path / "gaps.json"
    gap = {
        "symbol": "BTCUSDT",
        "exchange": "binance-spot",
        "after_time": "2025-06-01T01:00:00+02:00",
        "before_time": None,
    }
    path.write_text(json.dumps([gap, gap | {"before_time": "2025-06-01T00:00:00+00:00"}]))
    first = at(1) - DAY / 24
    assert read_spans(path) == [
        Span("BTCUSDT", "binance-spot", first, None),
        Span("BTCUSDT", "binance-spot", first, at(1)),
    ]
    path.write_text(
        "exchange,symbol,from_time,to_time\nokx,BTC-USDT,2025-06-01,2025-06-02T00:00Z\n"
    )
    assert read_spans(path) == [span_of("BTC-USDT", "okx", at(1), at(2))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "give what entasis gaps --json prints"),
        ("a,b\n", "give what entasis gaps --json prints"),
        ("[1]", "give the list"),
        ("[", "no JSON"),
        ('[{"symbol": "A"}]', "entry 1: it names no symbol or no exchange"),
        ('[{"symbol": "A", "exchange": "x", "after_time": "soon"}]', "'soon' is no time"),
        ("exchange,symbol,from_time,to_time\nx,A,2025-06-02,2025-06-01\n", "line 2: its end"),
        ("exchange,symbol,from_time,to_time\nx,A,2025-06-02\n", "None is no time"),
    ],
)
def test_ranges_that_are_none(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(LoadError, match=told):
        read_spans(path)


def test_a_silence_is_answered_by_files_that_hold_all_of_it() -> None:
    files = planned("binance-spot", "BTCUSDT", at(1), at(3)).files
    first, second = map(Filled, files)
    gap = Gap("BTCUSDT", "binance-spot", "silence", at(1, 5), at(2, 5), None, None, None, None)
    assert is_answered(gap, [first, second], NOW)
    assert not is_answered(gap, [first], NOW)
    assert not is_answered(gap, [first, Filled(files[1], error="cut")], NOW)
    assert not is_answered(gap._replace(kind="ids"), [first, second], NOW)
    assert not is_answered(gap._replace(symbol="ETHUSDT"), [first, second], NOW)
    open_end = gap._replace(before_time=None)
    assert is_answered(open_end, [second, first], at(2, 23))
    assert not is_answered(open_end, [first, second], NOW)


def test_every_exchange_of_the_page_has_an_archive() -> None:
    for exchange in ("binance-spot", "bybit", "okx", "bitmex", "gemini"):
        assert ARCHIVES[exchange].day_of(at(1, 3)) == date(2025, 6, 1)
