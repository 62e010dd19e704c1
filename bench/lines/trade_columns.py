"""What the columns of a trade cost that the source document has not, or has narrower."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from uuid import UUID

from bench.columns import Comparison, Variant, compare
from bench.context import Bench
from bench.line import Sizes, Subject
from bench.loaders import two_hours
from bench.measure import Row
from entasis_db.ids import digest_id
from entasis_db.model import TRADE_KEY, Trade

TITLE = "A trade's wider numbers, side, source_id and excluded, against tables without them"
HOW = (
    "COPY of the same trades, in the order of the key and in one transaction, into tables that"
    " differ in these columns alone (bench/columns.sql): our columns, NOT NULLs, CHECKs and"
    " indexes, without partitions, triggers and candles, beside which their cost is smaller still."
    " Below 1, our columns are slower. `narrow` has DECIMAL(20,8) and not our CHECKs of these two"
    " columns. Bytes are those of table and indexes, vacuumed. A number takes the room of its"
    " digits, whatever its column could hold; ids that are text are UUIDs, and their digests lie"
    " anywhere in the index."
)
SUBJECT = Subject.LOADING
SIZES = Sizes.ONCE

_RELATION = "entasis.market_data"
_TINY = Decimal("1e-18")
_LAST = ("source_id", "excluded")
_COLUMNS = Trade._fields
_DOCUMENT = tuple(name for name in _COLUMNS if name not in ("side", *_LAST))
_COMPARISONS = (
    Comparison("wider numbers / narrow", "bare", "narrow"),
    Comparison("prices of 18 decimals / of their own", "precise", "bare"),
    Comparison("side / none", "sided", "bare"),
    Comparison("source_id and excluded, both NULL / none", "ours", "sided"),
    Comparison("ids that are text, and the text / numbers", "digests", "ours"),
    Comparison("all columns of a number's market / narrow and none", "ours", "narrow"),
)


def run(bench: Bench) -> Iterator[Row]:
    """Load the five of them in turn."""
    number = bench.effort.service_trades // 4
    bench.progress(f"making {number:,} trades")
    trades = two_hours(number)
    bare = _text(trades, _DOCUMENT)
    sided = (*_DOCUMENT, "side")
    narrow = {"price": "decimal(20,8)", "volume": "decimal(20,8)"}
    none = ("side", *_LAST)
    variants = (
        Variant("narrow", _DOCUMENT, bare, none, narrow),
        Variant("bare", _DOCUMENT, bare, none),
        Variant("precise", _DOCUMENT, _text(trades, _DOCUMENT, _precise), none),
        Variant("sided", sided, _text(trades, sided), _LAST),
        Variant("ours", _COLUMNS, _text(trades, _COLUMNS)),
        Variant("digests", _COLUMNS, _text(trades, _COLUMNS, _digested)),
    )
    yield from compare(bench, _RELATION, number, variants, _COMPARISONS)


def _precise(trade: Trade) -> Trade:
    return trade._replace(price=trade.price + _TINY)


def _digested(trade: Trade) -> Trade:
    text = str(UUID(int=hash((trade.symbol, trade.exchange, trade.id)) % (1 << 128)))
    return trade._replace(id=digest_id(text), source_id=text)


def _text(
    trades: Sequence[Trade],
    columns: Sequence[str],
    change: Callable[[Trade], Trade] = lambda trade: trade,
) -> bytes:
    def key(trade: Trade) -> tuple[object, ...]:
        return tuple(getattr(trade, name) for name in TRADE_KEY)

    lines = []
    for trade in sorted(map(change, trades), key=key):
        values = (getattr(trade, name) for name in columns)
        lines.append("\t".join("\\N" if value is None else f"{value!s}" for value in values))
    return ("\n".join(lines) + "\n").encode()
