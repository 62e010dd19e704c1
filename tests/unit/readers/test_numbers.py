"""Exact numbers and stable ordinals of random files, and of the real samples."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entasis_db.readers import (
    OptionRow,
    TradeRow,
    containers,
    read_options,
    read_trades,
)
from tests.engines import SAMPLES
from tests.unit.readers.support import ENTASIS, EPOCH, PACKINGS, feed_standard_input, trades

# --- properties ----------------------------------------------------------------------------------

decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(-(10**25), 10**25),
    st.integers(0, 20),
)


@given(
    rows=st.lists(
        st.tuples(st.integers(-62135596800 * 10**9, 253402300799 * 10**9), decimals, decimals),
        max_size=8,
    )
)
def test_numbers_and_times_are_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, Decimal, Decimal]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "exact.csv"
    path.write_text(
        ENTASIS + "".join(f"x,A,{ns},0,{n},{p},{v}\n" for n, (ns, p, v) in enumerate(rows))
    )
    reader = read_trades(path)
    read = [row.trade for row in reader if isinstance(row, TradeRow)]
    assert len(read) == len(rows)
    sold = any(volume < 0 for *_, volume in rows)
    for trade, (ns, price, volume) in zip(read, rows, strict=True):
        assert trade.price.as_tuple() == price.as_tuple()
        # of a size below zero, the sign says who took
        size = volume.copy_abs() if volume < 0 else volume
        assert trade.volume.as_tuple() == size.as_tuple()
        assert trade.side == (("sell" if volume < 0 else "buy") if sold else None)
        since = trade.timestamp - EPOCH
        microseconds = (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
        assert 0 <= ns - microseconds * 1000 < 1000, "floor, never up"
    assert reader.truncated_nanoseconds == sum(ns % 1000 != 0 for ns, _, _ in rows)


@given(
    groups=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 4)), max_size=40),
    in_order=st.booleans(),
    chunk=st.integers(1, 300),
)
def test_ordinals_count_each_group_from_0_however_the_file_comes(
    tmp_path_factory: pytest.TempPathFactory,
    groups: list[tuple[str, int]],
    in_order: bool,
    chunk: int,
) -> None:
    if in_order:
        groups.sort(key=lambda group: group[1])
    seen: Counter[tuple[str, int]] = Counter()
    expected = []
    for group in groups:
        expected.append((*group, seen[group]))
        seen[group] += 1
    assert len(set(expected)) == len(expected), "a key is unique"
    rows: Counter[str] = Counter()
    text = ENTASIS
    for symbol, stamp in groups:
        text += f"x,{symbol},{stamp}500,{rows[symbol]},,1,1\n"
        rows[symbol] += 1
    path = tmp_path_factory.getbasetemp() / "ordinals.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containers, "CHUNK", chunk)
        for pack in PACKINGS:
            path.write_bytes(pack(text.encode()))
            found = [
                (trade.symbol, (trade.timestamp - EPOCH).microseconds, trade.id)
                for trade in trades(path)
            ]
            assert found == expected
        feed_standard_input(patch, text.encode())
        assert [trade.id for trade in trades("-")] == [ordinal for _, _, ordinal in expected]


# --- real data -----------------------------------------------------------------------------------

samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no real samples at {SAMPLES}")


@samples
@pytest.mark.parametrize(
    ("name", "layout", "count", "markets", "id_space", "truncated"),
    [
        ("trades_binance_2024-08-08.csv.gz", "entasis", 78_638, 6, "trade", 0),
        ("trades_phemex_2021-07-03.csv.gz", "entasis", 10_025, 10, "ordinal", 10_011),
        ("stream_binance_trxusdt_2025-03-04.csv.gz", "binance-stream", 10_000, 1, "trade", 0),
    ],
)
def test_real_trades(
    name: str, layout: str, count: int, markets: int, id_space: str, truncated: int
) -> None:
    reader = read_trades(SAMPLES / name)
    read = [row.trade for row in reader if isinstance(row, TradeRow)]
    assert reader.layout == layout
    assert len(read) == count
    assert reader.lines_read == count + 1, "nothing was rejected"
    assert len({trade[:4] for trade in read}) == count, "the key is unique"
    assert len(reader.id_spaces) == markets
    assert set(reader.id_spaces.values()) == {id_space}
    assert reader.truncated_nanoseconds == truncated
    assert reader.bytes_read == reader.total_bytes


@samples
def test_the_real_trade_without_a_price_is_left_to_the_rules() -> None:
    read = trades(SAMPLES / "stream_binance_trxusdt_2025-03-04.csv.gz")
    assert [trade.id for trade in read if not trade.price] == [548331095]


@samples
@pytest.mark.parametrize(
    ("name", "layout", "count", "smallest_gamma"),
    [
        ("options_deribit_eth_2021-07-22.csv", "deribit-tickers", 89, "0.00001"),
        ("options_spy_2021.csv.gz", "options-backtester", 5_040, "0.00182"),
    ],
)
def test_real_options(name: str, layout: str, count: int, smallest_gamma: str) -> None:
    reader = read_options(SAMPLES / name)
    read = [row.quote for row in reader if isinstance(row, OptionRow)]
    assert reader.layout == layout
    assert len(read) == count
    assert {quote.id for quote in read} == {None}
    assert all(quote.iv is not None and 0 < quote.iv < 10 for quote in read), "a fraction"
    assert min(quote.gamma for quote in read if quote.gamma) == Decimal(smallest_gamma)
