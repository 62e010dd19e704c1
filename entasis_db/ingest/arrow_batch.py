"""A table of Arrow as a batch: a clean one becomes COPY's text without becoming Python objects."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property, reduce
from typing import Any

from entasis_db.errors import LoadError
from entasis_db.extras import extra
from entasis_db.ingest.batch import UNKNOWN, Batch, DoubtfulRowError, RowBatch
from entasis_db.ingest.id_spaces import IdSpace, Market, MarketBatch
from entasis_db.ingest.limits import PRICE_DECIMALS, PRICE_LIMIT, is_name, is_word, time_bounds
from entasis_db.ingest.quarantine import Refusal
from entasis_db.ingest.targets import TRADES
from entasis_db.model import TRADE_KEY, TimeUnit, Trade
from entasis_db.readers.arrow import COLUMNS, OPTIONAL, ArrowReader
from entasis_db.readers.arrow_tables import MOST_DIGITS

with extra("arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc

_PRICE = pa.decimal128(MOST_DIGITS, PRICE_DECIMALS)
_PLAIN_ID = r"^[!-\[\]-~]{1,128}$"
_REQUIRED = [name for name in COLUMNS if name not in OPTIONAL]


def check_text_ids(reader: ArrowReader, id_space: IdSpace) -> None:
    """Refuse ids that are text where they are said to be numbers."""
    spaces = {id_space} if isinstance(id_space, str) else set(id_space.values())
    if reader.has_text_ids and spaces != {"digest"}:
        raise LoadError(
            f"{reader.source}: column 'id' is text. Ids are integers, or else digests of text: "
            "give the id space digest (--id-space digest)"
        )


class ArrowBatch(Batch):
    """One of ArrowReader's tables of trades; rows with a null are refused."""

    target = TRADES

    def __init__(self, table: Any, time_unit: TimeUnit | None = None) -> None:
        self.time_unit = time_unit
        complete = [pc.is_valid(table.column(name)) for name in _REQUIRED]
        self._table = table.filter(reduce(pc.and_, complete))
        incomplete = len(self._table) < len(table)
        self.refusals = list(_incomplete(table)) if incomplete else []

    def __len__(self) -> int:
        return len(self._table)

    @cached_property
    def _first_lines(self) -> dict[Market, int]:
        markets = self._table.group_by(["symbol", "exchange"]).aggregate([("line", "min")])
        return {(m["symbol"], m["exchange"]): m["line_min"] for m in markets.to_pylist()}

    @cached_property
    def _in_key_order(self) -> Any:
        """Sort as writers do, who must lock in one order so that they do not deadlock."""
        return self._table.sort_by([(name, "ascending") for name in TRADE_KEY])

    @cached_property
    def _by_market(self) -> Any:
        table = self._in_key_order
        if len(pc.unique(table.column("exchange"))) > 1:
            # in the order of the key, exchanges of one symbol take turns
            order = ("symbol", "exchange", "timestamp", "id")
            table = table.sort_by([(name, "ascending") for name in order])
        return table

    def markets(self) -> Mapping[Market, MarketBatch]:
        """Return each (symbol, exchange) with what it has."""
        first, latest = time_bounds()
        times = pc.min_max(self._table.column("timestamp"))
        if not (
            pc.greater_equal(times["min"], first).as_py()
            and pc.less_equal(times["max"], latest).as_py()
        ):
            return dict.fromkeys(self._first_lines, UNKNOWN)
        found = self._in_key_order.group_by(["symbol", "exchange"]).aggregate(
            [(name, end) for name in ("timestamp", "id") for end in ("min", "max")]
            + [("id", "count")]
        )
        falling = self._falling()
        return {
            (m["symbol"], m["exchange"]): MarketBatch(
                *(m["timestamp_min"], m["timestamp_max"], m["id_min"], m["id_max"]),
                rising=(m["symbol"], m["exchange"]) not in falling,
                trades=m["id_count"],
            )
            for m in found.to_pylist()
        }

    def _falling(self) -> set[Market]:
        """Return the markets in which an id is not larger than the one before it."""
        table = self._by_market
        before, after = table.slice(0, len(table) - 1), table.slice(1)
        same = [pc.equal(before.column(n), after.column(n)) for n in ("symbol", "exchange")]
        falls = pc.less_equal(after.column("id"), before.column("id"))
        fallen = after.filter(reduce(pc.and_, same, falls)).select(["symbol", "exchange"])
        return {(m["symbol"], m["exchange"]) for m in fallen.to_pylist()}

    def market_names(self) -> Collection[Market]:
        """Return the markets of the rows."""
        return self._first_lines.keys()

    def line_of(self, market: Market) -> int:
        """Return the line of the first row of a market."""
        return self._first_lines[market]

    def count_before(self, moment: datetime) -> int:
        """Return how many rows are older than a moment."""
        return pc.sum(pc.less(self._table.column("timestamp"), moment)).as_py() or 0

    def clean_text(self) -> Iterator[str | memoryview]:
        """Write the rows in the order of the key; DoubtfulRowError at one that may be refused."""
        yield _copy_text(_clean(self._in_key_order), COLUMNS)

    def stored_text(self) -> Iterator[str | memoryview]:
        """Write the rows as the server would, market by market."""
        yield _copy_text(_clean(self._by_market), COLUMNS, short_times=True)

    def staged_text(self, refusals: list[Refusal]) -> Iterator[str | memoryview]:
        """Write the rows with their lines, apart from those that no type can hold."""
        try:
            yield _copy_text(_clean(self._table), ("line", *COLUMNS))
        except DoubtfulRowError:
            lines, *fields = (self._table.column(name).to_pylist() for name in ("line", *COLUMNS))
            rows = [Trade(*values) for values in zip(*fields, strict=True)]
            yield from RowBatch(TRADES, rows, lines).staged_text(refusals)


def _incomplete(table: Any) -> Iterator[Refusal]:
    for row in table.to_pylist():
        missing = [name for name in _REQUIRED if row[name] is None]
        if missing:
            payload = {n: None if row[n] is None else str(row[n]) for n in COLUMNS}
            name, text = missing[0], row["source_id"]
            reason = f"the {name} is missing"
            if name == "id" and text is not None:
                reason = f"{text!r} is neither an integer nor a text that could be an id"
            yield Refusal(row["line"], name, reason, payload)


def _clean(table: Any) -> Any:
    """Return the rows with prices and volumes of a scale that the table surely takes.

    Raises DoubtfulRowError when it may refuse one of them.
    """
    first, latest = time_bounds()
    times = table.column("timestamp")
    sane = [pc.greater_equal(times, first), pc.less_equal(times, latest)]
    for name in ("symbol", "exchange"):
        # a backslash would have to be escaped in COPY's text
        for text in pc.unique(table.column(name)).to_pylist():
            if not is_name(text) or "\\" in text:
                raise DoubtfulRowError
    for text in pc.unique(table.column("excluded")).to_pylist():
        if not (text is None or is_word(text)):
            raise DoubtfulRowError
    source_id, side = table.column("source_id"), table.column("side")
    # what surely needs neither an escape nor a second look
    sane.append(pc.or_kleene(pc.is_null(source_id), pc.match_substring_regex(source_id, _PLAIN_ID)))
    sane.append(pc.or_(pc.is_null(side), pc.is_in(side, pa.array(["buy", "sell"]))))
    for name in ("price", "volume"):
        number = table.column(name)
        if number.type.bit_width > _PRICE.bit_width or number.type.scale > PRICE_DECIMALS:
            try:
                number = number.cast(_PRICE)
            except pa.ArrowInvalid:
                raise DoubtfulRowError from None
            table = table.set_column(table.column_names.index(name), name, number)
        sane.append(pc.greater(number, Decimal(0)))
        # of so many decimals no larger number has room, and Arrow could not write the limit
        if number.type.scale < PRICE_DECIMALS:
            sane.append(pc.less(number, PRICE_LIMIT))
    if not all(pc.all(column).as_py() for column in sane):
        raise DoubtfulRowError
    return table


def _copy_text(table: Any, columns: Sequence[str], *, short_times: bool = False) -> memoryview:
    fields = {name: table.column(name) for name in columns}
    # without its zone, because Arrow would ask the machine for it
    moments = fields["timestamp"].cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string())
    if short_times:
        # the server writes no zeros at the end, and no point before nothing
        moments = pc.replace_substring_regex(moments, r"\.?0*$", "")
    fields["timestamp"] = pc.binary_join_element_wise(moments, "+00", "")
    for name in OPTIONAL:
        fields[name] = pc.fill_null(fields[name], "\\N")
    texts = [field.cast(pa.string()) for field in fields.values()]
    lines = pc.binary_join_element_wise(
        pc.binary_join_element_wise(*texts, "\t"), "", "\n"
    ).combine_chunks()
    chunks = lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]
    return memoryview(b"".join(_characters(chunk) for chunk in chunks))


def _characters(lines: Any) -> memoryview:
    """Return the text of all lines, which Arrow keeps in one piece."""
    _, offsets, data = lines.buffers()
    edges = memoryview(offsets).cast("i")[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[edges[0] : edges[-1]]
