"""Files of trades: the normalised layout, Binance's archives and captured Binance streams."""

import copy
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

from entasis_db.errors import LoadError
from entasis_db.model import Side, TimeUnit, Trade
from entasis_db.readers.binance import (
    check_base_quantity,
    futures_exchange,
    refuse_other_columns,
    refuse_other_venue,
)
from entasis_db.readers.columns import (
    FileUnit,
    Translate,
    Venue,
    layouts_of,
    placed,
    stated_unit,
    symbol_by_name,
    taker_of,
    translate_of,
)
from entasis_db.readers.edges import Edge, edge_records
from entasis_db.readers.files import Source
from entasis_db.readers.ids import id_space_of, integer_id, text_id
from entasis_db.readers.names import COPY_NAME, stored_symbol
from entasis_db.readers.rows import (
    EPOCH,
    Layout,
    Ordinals,
    Parse,
    Reader,
    RowError,
    TradeRow,
    decimal_of,
    utc,
)
from entasis_db.readers.sequences import Kind, Sequences
from entasis_db.readers.signs import Signs
from entasis_db.readers.venues import VENUES

_ENTASIS = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume"
_SIDE, _KIND = ",side", ",excluded"
_TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
_COIN_M = "id,price,qty,base_qty,time,is_buyer_maker"
_AGGTRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
_STREAM = (
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,"
    "IsBuyerMarketMaker"
)
_BEST = ",is_best_match"  # spot only
_FUTURES = ",XUnknownParameter"  # the field "X" of the futures' streams
_SPOT = ",MUnknownParameter"  # the field "M" of the spot streams

LAYOUTS: tuple[Layout, ...] = (
    Layout("entasis", (_ENTASIS, _ENTASIS + _SIDE, _ENTASIS + _SIDE + _KIND), (2, 3, 5, 6)),
    Layout("binance-trades", (_TRADES, _TRADES + _BEST, _COIN_M), (0, 1, 2, 3, 4), flag=5),
    Layout("binance-aggtrades", (_AGGTRADES, _AGGTRADES + _BEST), (0, 1, 2, 5), flag=6),
    Layout("binance-stream", (_STREAM + _FUTURES, _STREAM + _SPOT), (4, 6, 7, 8)),
    *VENUES,
)

# Of futures, the field says what the print is; no candle of Binance's counts what was not matched
# in the order book.
_UNMATCHED = {"INSURANCE_FUND": "insurance_fund", "ADL": "adl"}

_ARCHIVE_NAME = re.compile(
    rf"(.+)-(?:trades|aggTrades)-\d{{4}}-\d\d(?:-\d\d)?{COPY_NAME}(?:\..*)?", re.IGNORECASE
)


def read_trades(
    path: str | Path,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    layout: str | None = None,
    sequence: Kind | None = None,
    columns: str | None = None,
    time_unit: FileUnit | None = None,
) -> "TradeReader":
    """Recognise a file of trades by its first line, or take it as ``layout``.

    ``path`` may be plain, gzip or zip, whatever its name, or ``-`` for standard input.
    ``exchange`` names the venue where the layout does not, or overrules the guess for a captured
    stream; ``symbol`` overrules the file name of a Binance archive. ``sequence`` says whether a
    column of that name is the exchange's own, or the row's position in the file. ``columns`` says
    which column of any other file is what (``timestamp=ts,price=px,volume=qty,id=tid``), and
    ``time_unit`` in which unit its times are. LoadError if the file cannot be opened or recognised,
    or if its market is not known or is given twice.
    """
    return TradeReader(
        path,
        exchange=exchange,
        symbol=symbol,
        layout=layout,
        sequence=sequence,
        columns=columns,
        time_unit=time_unit,
    )


class TradeReader(Reader[TradeRow]):
    """The trades of one file; see ``Reader`` and ``read_trades``.

    ``id_spaces`` tells, for each (exchange, symbol) met so far, what numbers its trades:

    - ``trade``: the exchange's own trade id; ``trade_seq``: Deribit's number of it in its market;
    - ``digest``: the exchange's id is text (a UUID, more than 64 bits): the trade's id is a digest
      of it, and its source_id the text. A market's first trade in the file says so, or
      ``digests``: the (exchange, symbol) of markets that are known for it;
    - ``aggtrade``: the exchange's number of an aggregated trade;
    - ``sequence``: the file has no ids, but the exchange's sequence, which is the id;
    - ``ordinal``: the file has neither, or its sequence counts the rows of the market, so a trade's
      id is its 0-based ordinal among the trades of its market with the same microsecond, over the
      whole file. A line that is rejected for its price or volume keeps its ordinal, so that the
      others keep theirs once it is corrected.

    A size below zero is the size of a trade whose taker sold; see ``Signs``.

    ``time_units`` tells in which unit each of them states times, as far as the layout says so: ms
    or us, by the number of digits, in Binance's; nanoseconds, which are cut, count as us.

    ``contracts_of`` is the (exchange, symbol) whose quantities count contracts and are stated in
    the base too, as in Binance's archive of COIN-M trades; None in other files. Where
    ``contract_size`` has been set to what one contract is worth, in the quote currency, a line in
    which the two contradict each other is rejected.
    """

    hint = (
        "; or say what its columns are: --columns timestamp=NAME,price=NAME,volume=NAME,id=NAME "
        "--time-unit ms --exchange NAME --symbol NAME"
    )
    digests: Collection[tuple[str, str]] = frozenset()
    contracts_of: tuple[str, str] | None = None
    contract_size: Decimal | None = None

    def __init__(
        self,
        path: str | Path | Source,
        *,
        exchange: str | None,
        symbol: str | None,
        layout: str | None,
        sequence: Kind | None = None,
        columns: str | None = None,
        time_unit: FileUnit | None = None,
    ) -> None:
        super().__init__(path, layouts_of(LAYOUTS, exchange, layout, columns, time_unit), layout)
        self._translate: Translate | None = None
        if isinstance(self._layout, Venue):
            self._layout, places = placed(self._layout, self.source, self._first_fields)
            self._translate = translate_of(self._layout, places, self.names, exchange, symbol)
        self._sequences = Sequences(self._source, (0, 1, 3), sequence, self._translate)
        self._signs = Signs(self._source, (0, 1, 6), self._translate)
        self.id_spaces: dict[tuple[str, str], str] = {}
        self.time_units: dict[tuple[str, str], TimeUnit] = {}
        self._exchange = exchange
        self._symbol = symbol
        self._numbered = self._layout.numbered if isinstance(self._layout, Venue) else "trade"
        if self._translate is not None:
            return
        if self.layout in {"entasis", "binance-stream"}:
            given = symbol is not None or (exchange is not None and self.layout == "entasis")
            if given:
                raise LoadError(
                    f"{self.source}: the layout {self.layout} names its markets itself; leave out "
                    f"{'--symbol' if symbol is not None else '--exchange'}"
                )
            if exchange is not None:
                is_spot = ",".join(self._first_fields) == _STREAM + _SPOT
                refuse_other_columns(self.source, exchange, is_spot)
            return
        if exchange is None:
            raise LoadError(
                f"{self.source}: the layout {self.layout} does not name its exchange; pass "
                "--exchange binance-spot, binance-usdm or binance-cm"
            )
        self._symbol = stored_symbol(exchange, symbol or "") or symbol_by_name(
            _ARCHIVE_NAME,
            self.layout,
            self.names,
            " (as BTCUSDT-trades-2024-08-08.zip would)",
        )
        states, spot = None, len(self._first_fields) == 8  # with is_best_match
        if self.layout == "binance-trades":
            stated, spot = self._first_fields[3], len(self._first_fields) == 7
            states = stated if stated in {"base_qty", "quote_qty"} else None
            if states == "base_qty" or exchange == "binance-cm":
                self.contracts_of = (exchange, self._symbol)
        refuse_other_venue(self.source, exchange, self._symbol, states, spot=spot)

    def edges(self, bounds: tuple[datetime, datetime]) -> list[Edge]:
        """Read beforehand what lies at the edges of the markets whose ids are ordinals.

        A time outside of ``bounds``, both included, is no edge. For files only: a pipe cannot be
        read twice.
        """
        again = copy.copy(self)
        again.id_spaces, again.time_units = {}, {}

        def is_counted(market: tuple[str, str], fields: list[str]) -> bool:
            again.id_spaces[market] = again._id_space(market, fields[4], fields[3])
            return again.id_spaces[market] == "ordinal"

        found = []
        first, last = ((bound - EPOCH) // timedelta(microseconds=1) for bound in bounds)
        width, numbers = len(self._first_fields), self._layout.numbers
        for records in edge_records(
            self._source.again(),
            self._body,
            width,
            numbers,
            is_counted,
            (first, last),
            self._translate,
        ):
            parse = again._entasis(Ordinals(any_order=True))
            trades = []
            for number, fields in records:
                with suppress(RowError):
                    trades.append(parse(number, fields).trade)
            if trades:
                found.append(Edge(records[0][0], records[-1][0], trades))
        return found

    def _parser(self, ordinals: Ordinals) -> Parse[TradeRow]:
        if self._translate is not None:
            return self._translated(self._translate, self._entasis(ordinals))
        if self.layout == "entasis":
            return self._entasis(ordinals)
        if self.layout == "binance-stream":
            return self._binance_stream()
        return self._binance_archive()

    def _translated(self, translate: Translate, parse: Parse[TradeRow]) -> Parse[TradeRow]:
        assert isinstance(self._layout, Venue)
        unit, time_units = self._layout.unit, self.time_units
        # of each market the finest so far
        stated: dict[tuple[str, str], TimeUnit] = {}

        def parse_translated(line: int, fields: list[str]) -> TradeRow:
            row = translate(fields)
            parsed = parse(line, row)
            market = (row[0], row[1])
            if stated.get(market) != "us":
                stated[market] = time_units[market] = stated_unit(unit, row[2])
            return parsed

        return parse_translated

    def _entasis(self, ordinals: Ordinals) -> Parse[TradeRow]:
        id_spaces, numbered = self.id_spaces, self._numbered
        sequences: dict[tuple[str, str], int] = {}
        market = ("", "")

        def parse(line: int, fields: list[str]) -> TradeRow:
            nonlocal market
            exchange, symbol, stamp, sequence, trade_id, price, volume, *rest = fields
            # One pair of strings for all trades of a run, instead of one for each.
            if symbol != market[1] or exchange != market[0]:
                market = (exchange, symbol)
            try:
                # Floor, also before 1970: a rounded-up trade could fall into the next candle.
                microseconds, below = divmod(int(stamp), 1000)
            except ValueError:
                raise RowError(
                    "timestamp", f"{stamp!r} is not a number of nanoseconds since 1970"
                ) from None
            timestamp = utc(microseconds)
            id_space = id_spaces.get(market)
            if id_space is None:
                id_space = id_spaces[market] = self._id_space(market, trade_id, sequence)
                self.time_units[market] = "us"
            if bool(trade_id) != (id_space == numbered or id_space == "digest"):
                raise RowError(
                    "id",
                    f"{'an' if trade_id else 'no'} id, but the market's first trade in this file "
                    f"has {'none' if trade_id else 'one'}",
                )
            source_id = None
            if id_space == numbered:
                number = integer_id(trade_id)
            elif id_space == "digest":
                number, source_id = text_id(trade_id)
            elif id_space == "sequence":
                number = integer_id(sequence, "sequence")
            else:
                if sequence:
                    _increase(sequences, market, sequence)
                number = ordinals.next(market, microseconds)
            exchange, symbol = market
            size, (taker, excluded) = decimal_of(volume), _rest(rest)
            if taker is None or size.is_signed():
                size, taker = self._signs.read(market, size, taker)
            trade = Trade(
                *(number, symbol, exchange, timestamp, decimal_of(price), size),
                *(taker, source_id, excluded),
            )
            if below:
                self.truncated_nanoseconds += 1
            return TradeRow(line, trade, id_space)

        return parse

    def _id_space(self, market: tuple[str, str], trade_id: str, sequence: str) -> str:
        """Tell what numbers a market, by its first row."""
        if trade_id:
            found = id_space_of(market, trade_id, self.digests)
            return self._numbered if found == "trade" else found
        if sequence and not self._sequences.is_position(market, sequence):
            return "sequence"
        return "ordinal"

    def _binance_archive(self) -> Parse[TradeRow]:
        assert self._exchange is not None
        assert self._symbol is not None
        exchange, symbol = self._exchange, self._symbol
        aggregated = self.layout == "binance-aggtrades"
        id_space = "aggtrade" if aggregated else "trade"
        time, maker = (5, 6) if aggregated else (4, 5)
        market, time_units = (exchange, symbol), self.time_units
        self.id_spaces[market] = id_space
        size = None if self.contracts_of is None else self.contract_size

        def parse(line: int, fields: list[str]) -> TradeRow:
            stamp = fields[time]
            trade = Trade(
                integer_id(fields[0]),
                symbol,
                exchange,
                _binance_time(stamp),
                decimal_of(fields[1]),
                decimal_of(fields[2]),
                taker_of(fields[maker]),
            )
            if size is not None and fields[3]:
                check_base_quantity(trade.price, trade.volume, fields[3], size)
            time_units[market] = "ms" if len(stamp) == _MS_DIGITS else "us"
            return TradeRow(line, trade, id_space)

        return parse

    def _binance_stream(self) -> Parse[TradeRow]:
        exchange_of = self._stream_exchange()

        def parse(line: int, fields: list[str]) -> TradeRow:
            _, _, event, _, time, symbol, trade_id, price, volume, maker, order = fields
            if event != "trade":
                raise RowError("event", f"the event is {event!r}, not a trade")
            exchange = exchange_of(symbol)
            trade = Trade(
                integer_id(trade_id),
                symbol,
                exchange,
                _binance_time(time),
                decimal_of(price),
                decimal_of(volume),
                taker_of(maker),
                excluded=_UNMATCHED.get(order),
            )
            self.id_spaces[exchange, symbol] = "trade"
            self.time_units[exchange, symbol] = "ms" if len(time) == _MS_DIGITS else "us"
            return TradeRow(line, trade, "trade")

        return parse

    def _stream_exchange(self) -> Callable[[str], str]:
        """Tell a symbol's exchange: as given, else by the fields that only one venue sends."""
        given = self._exchange
        if given is not None:
            return lambda _symbol: given
        if ",".join(self._first_fields) == _STREAM + _SPOT:
            return lambda _symbol: "binance-spot"
        return futures_exchange


def _rest(fields: Sequence[str]) -> tuple[Side | None, str | None]:
    """Give the side and the kind of a print, as far as the file has these columns."""
    side, kind, *_ = (*fields, "", "")
    return cast(Side, side) if side else None, kind or None


def _increase(sequences: dict[tuple[str, str], int], market: tuple[str, str], text: str) -> None:
    """Check that the file's order is the exchange's: ordinals stand on nothing else."""
    try:
        sequence = int(text)
    except ValueError:
        raise RowError("sequence", f"{text!r} is not an integer") from None
    last = sequences.get(market)
    if last is not None and sequence <= last:
        raise RowError("sequence", f"sequence {sequence} comes after {last} in its market")
    sequences[market] = sequence


_MS_DIGITS = 13


def _binance_time(text: str) -> datetime:
    """Read milliseconds (13 digits until 2286) or, in spot files since 2025, microseconds (16)."""
    digits = len(text)
    if text.isdecimal() and (digits == _MS_DIGITS or digits == 16):
        return utc(int(text) * 1000 if digits == _MS_DIGITS else int(text))
    raise RowError(
        "timestamp", f"{text!r} is neither milliseconds (13 digits) nor microseconds (16)"
    )
