"""The archive's objects: exact checksums and decimals, and little to read for one market."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entasis_db.archive import layout
from entasis_db.model import OPTION_KEY
from tests.contract.archive.support import FIRST, HUGE, NOW, VAST, greeks, numbers, sizes
from tests.db import Connection
from tests.engines import Server
from tests.make import months_ago

pytestmark = [pytest.mark.copy, pytest.mark.newest_server, pytest.mark.native_speed]

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)

moments = st.integers(0, 10**15).map(lambda n: FIRST + timedelta(microseconds=n))

ids = st.integers(-(2**63), 2**63 - 1)

zeros = st.integers(0, 6)

TINY = Decimal("0.000000000000000001")


def with_zeros(number: Decimal, count: int) -> Decimal:
    return Decimal(f"{number:f}" + ("" if "." in f"{number:f}" else ".") + "0" * count)


sides = st.sampled_from([None, "buy", "sell"])

# a comma must not be taken for the end of a text
texts = st.none() | text | st.sampled_from(["1,", "1,adl", "0a1b2c3d-1111-5222-8333-444455556666"])

kinds = st.sampled_from([None, "block", "adl"])


def _tables_of(
    connection: Connection, rows: list[Any], options: list[Any], sums: list[Any]
) -> None:
    for relation in ("market_data", "option_data", "ohlcv_1m"):
        connection.execute(
            f"CREATE TABLE public.{relation} (LIKE entasis.{relation} INCLUDING DEFAULTS)"
        )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO public.market_data (symbol, exchange, timestamp, id, price, volume,"
            " created_at, side, source_id, excluded)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(*r[:4], with_zeros(r[4], r[7]), with_zeros(r[5], r[7]), r[6], *r[8:]) for r in rows],
        )
        cursor.executemany(
            "INSERT INTO public.option_data (underlying, expiry_date, strike_price,"
            " option_type, timestamp, id, gamma, vega, mark_price, rho, bid_price, ask_price,"
            " open_interest, underlying_price, bid_iv, ask_iv)"
            " VALUES (%s, %s, %s, 'call', %s, %s, %s, %s, %s, %s, 0, NULL, 0.10, 2e3, 0.3, 4)",
            [(*o[:7], VAST, o[6]) for o in options],
        )
        cursor.executemany(
            "INSERT INTO public.ohlcv_1m VALUES (%s, %s, %s, 1, 2.50, -1, 0, %s, %s, 1,"
            " '2020-01-01Z', %s, '2020-01-01Z', 1)",
            sums,
        )


@example(
    rows=[("A", "x", FIRST, 1, Decimal("1.50"), Decimal(7), NOW, 3, "sell", "Ü,7", "adl")],
    options=[('Ü,\n"', FIRST, Decimal("3000.50"), NOW, 1, None, Decimal("-0.50"), 0)],
    sums=[("A", "x", FIRST, VAST, HUGE * 10**12, 1), ("B", "x", FIRST, *2 * [Decimal("1.50")], 1)],
)
@example(
    rows=[
        ("A", "x", FIRST, 1, VAST, VAST, NOW, 3, None, None, "block"),
        ("A", "x", FIRST, 1, -VAST, TINY, NOW, 0, None, None, None),
    ],
    options=[],
    sums=[
        ("A", "x", FIRST, Decimal("1E20"), Decimal("1E14"), 1),
        ("A", "x", FIRST, TINY, Decimal("-1E14"), 1),
        ("A", "x", FIRST, Decimal("500000000000000000000.5"), Decimal("1E-36"), 1),
        ("A", "x", FIRST, Decimal(1), Decimal("-99999999999999.123456789012345678901234"), 1),
    ],
)
@given(
    rows=st.lists(
        st.tuples(text, text, moments, ids, sizes, sizes, moments, zeros, sides, texts, kinds),
        max_size=6,
    ),
    options=st.lists(
        st.tuples(text, moments, numbers, moments, ids, greeks, greeks, zeros), max_size=6
    ),
    sums=st.lists(
        st.tuples(text, text, moments, sizes, numbers | st.just(HUGE * 10**12), ids),
        max_size=6,
    ),
)
def test_the_checksum_is_that_of_the_rows_and_parquet_holds_every_digit(
    server: Server,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    options: list[Any],
    sums: list[Any],
) -> None:
    """SQL over the tables, and Python over the Parquet, in any order and with any zeros."""
    with server.database() as lent, lent.connect() as connection:
        _tables_of(connection, rows, options, sums)
        file = tmp_path_factory.getbasetemp() / "content.parquet"
        for relation, found in (
            ("market_data", rows),
            ("option_data", options),
            ("ohlcv_1m", sums),
        ):
            form = layout.LAYOUTS[relation]
            writer = layout.ObjectWriter(form, file, {})
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(
                    f"COPY (SELECT {form.expressions()} FROM public.{relation} AS r"  # type: ignore[arg-type]
                    " ORDER BY random()) TO STDOUT (FORMAT csv)"
                ) as copy,
            ):
                lines = list(copy)
            if lines:
                writer.write(layout.parsed(form, b"".join(lines)))
            writer.close()
            content = layout.Content()
            for table in layout.row_groups(form, file):
                content.add(form, table)
            (expected,) = connection.execute(
                "SELECT row_count, checksum FROM entasis_internal.count_and_checksum("
                "%s::regclass, %s, '-infinity', 'infinity')",
                [f"public.{relation}", relation],
            ).fetchall()
            assert (content.rows, content.checksum) == expected
            assert content.rows == len(found)


def test_a_reader_of_one_market_and_one_day_reads_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups tell by their statistics that they hold none of it, whatever their size."""
    monkeypatch.setattr(layout, "ROW_GROUP", 8192)
    form = layout.LAYOUTS["market_data"]
    file = tmp_path / "object.parquet"
    writer = layout.ObjectWriter(form, file, {})
    days, markets = 30, 20
    rows = layout.ROW_GROUP * 8
    a_market = rows // markets
    step = timedelta(days=days) / a_market
    first = months_ago(6)
    lines = [
        f"S{n // a_market:02},x,{first + n % a_market * step:%Y-%m-%d %H:%M:%S.%f}+00,{n},1,1,"
        "2026-01-01 00:00:00+00,buy,,\n".encode()
        for n in range(rows)
    ]
    for begin in range(0, rows, layout.ROW_GROUP):
        writer.write(layout.parsed(form, b"".join(lines[begin : begin + layout.ROW_GROUP])))
    writer.close()
    day = (months_ago(6) + timedelta(days=10), months_ago(6) + timedelta(days=11))
    metadata = pq.ParquetFile(file).metadata
    touched = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        symbol, _, time = (group.column(n).statistics for n in range(3))
        touched += symbol.min <= "S07" <= symbol.max and time.min < day[1] and time.max >= day[0]
    assert metadata.num_row_groups == 8
    # its trades of that day may stand on both sides of one boundary, and its symbol too
    assert 1 <= touched <= 2


def test_every_value_of_a_quote_is_in_the_checksum(server: Server) -> None:
    names = [n for n in layout.LAYOUTS["option_data"].columns if n not in OPTION_KEY]
    assert len(names) == 13
    with server.database() as lent, lent.connect() as connection:
        connection.execute("CREATE TABLE public.option_data (LIKE entasis.option_data)")
        found = set()
        for changed in range(-1, 13):
            values = ["2" if n == changed else "1" for n in range(13)]
            connection.execute("DELETE FROM public.option_data")
            connection.execute(
                "INSERT INTO public.option_data (id, underlying, strike_price, expiry_date,"
                f" option_type, timestamp, {', '.join(names)}) VALUES (1, 'ETH', 1,"
                f" '2030-01-01Z', 'put', '2020-01-01Z', {', '.join(values)})".encode()
            )
            found.add(
                connection.execute(
                    "SELECT checksum FROM entasis_internal.count_and_checksum("
                    "'public.option_data', 'option_data', '-infinity', 'infinity')"
                ).fetchone()
            )
    assert len(found) == 14, "swapped or missing values give equal texts"
