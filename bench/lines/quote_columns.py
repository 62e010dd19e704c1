"""What the columns of a quote cost that the source document has not."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from random import Random

from bench import data
from bench.columns import Comparison, Variant, compare
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.measure import Row
from entasis_db.model import OPTION_KEY, OptionQuote

TITLE = "A quote's prices, volatilities, open interest and rho, against a table without them"
HOW = (
    "COPY of the same quotes, in the order of the key and in one transaction, into tables that"
    " differ in these eight columns alone (bench/columns.sql): our columns, NOT NULLs, CHECKs and"
    " indexes, without partitions and triggers. Below 1, our columns are slower. Bytes are those of"
    " table and indexes, vacuumed. iv and greeks have five digits, prices a few more, as Deribit's."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

_RELATION = "entasis.option_data"
_ADDED = (
    *("bid_price", "ask_price", "mark_price", "bid_iv", "ask_iv"),
    *("underlying_price", "open_interest", "rho"),
)
_COLUMNS = OptionQuote._fields
_DOCUMENT = tuple(name for name in _COLUMNS if name not in _ADDED)
_COMPARISONS = (
    Comparison("the eight columns, all NULL / none", "empty", "document"),
    Comparison("the eight columns, all told / none", "ours", "document"),
)
_SEED = 20090103
_STRIKES = 40
_EXPIRIES = 8


def run(bench: Bench) -> Iterator[Row]:
    """Load the three of them in turn."""
    number = bench.effort.service_trades // 4
    bench.progress(f"making {number:,} quotes")
    quotes = _quotes(number)
    bare = _text(quotes, _DOCUMENT)
    variants = (
        Variant("document", _DOCUMENT, bare, _ADDED),
        Variant("empty", _DOCUMENT, bare),
        Variant("ours", _COLUMNS, _text(quotes, _COLUMNS)),
    )
    yield from compare(bench, _RELATION, number, variants, _COMPARISONS)


def _quotes(number: int) -> list[OptionQuote]:
    """Make quotes of a chain, the same ones at every call: all of its contracts each second."""
    draw = Random(_SEED).randrange
    found = []
    for place in range(number):
        second, contract = divmod(place, 2 * _STRIKES * _EXPIRIES)
        series, strike = divmod(contract, 2 * _STRIKES)
        iv, price = draw(20_000, 90_000), draw(1, 20_000)
        found.append(
            OptionQuote(
                "BTC",
                Decimal(40_000 + 1_000 * (strike // 2)),
                data.END + timedelta(days=7 * series, hours=8),
                "call" if strike % 2 else "put",
                data.START + timedelta(seconds=second),
                id=0,
                iv=Decimal(iv).scaleb(-5),
                delta=Decimal(draw(-99_999, 99_999)).scaleb(-5),
                gamma=Decimal(draw(1, 99_999)).scaleb(-8),
                theta=Decimal(-draw(1, 9_999_999)).scaleb(-5),
                vega=Decimal(draw(1, 9_999_999)).scaleb(-5),
                bid_price=Decimal(price).scaleb(-4),
                ask_price=Decimal(price + 5).scaleb(-4),
                mark_price=Decimal(100 * price + draw(1, 500)).scaleb(-6),
                bid_iv=Decimal(iv - 100).scaleb(-5),
                ask_iv=Decimal(iv + 100).scaleb(-5),
                underlying_price=Decimal(draw(940_000_000, 950_000_000)).scaleb(-4),
                open_interest=Decimal(draw(0, 99_999)).scaleb(-1),
                rho=Decimal(draw(-9_999_999, 9_999_999)).scaleb(-5),
            )
        )
    return found


def _text(quotes: Sequence[OptionQuote], columns: Sequence[str]) -> bytes:
    def key(quote: OptionQuote) -> tuple[object, ...]:
        return tuple(getattr(quote, name) for name in OPTION_KEY)

    lines = [
        "\t".join(f"{getattr(quote, name)!s}" for name in columns)
        for quote in sorted(quotes, key=key)
    ]
    return ("\n".join(lines) + "\n").encode()
