"""Callbacks for cryptofeed that write what it hands over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import Any, Literal

from entasis_db.errors import EntasisError
from entasis_db.ids import digest_id
from entasis_db.ingest import check_row
from entasis_db.ingest.limits import INT64
from entasis_db.live.cryptofeed.exchanges import EXCHANGES, Exchange, FedTrade
from entasis_db.live.cryptofeed.numbers import computed, milliseconds, number_or_none, text
from entasis_db.live.cryptofeed.positions import Positions
from entasis_db.live.jsonable import shown
from entasis_db.live.notices import Notices
from entasis_db.live.unreadable import Unreadable
from entasis_db.live.writer import TickWriter
from entasis_db.live.writer_async import AsyncTickWriter
from entasis_db.model import OptionQuote, TimeUnit, Trade
from entasis_db.readers.options import deribit_contract
from entasis_db.readers.rows import RowError

_log = logging.getLogger("entasis_db.live")

# fields of a quote, and what Deribit's ticker calls them
_GREEKS = ("delta", "gamma", "theta", "vega", "rho")
_IVS = {"iv": "mark_iv", "bid_iv": "bid_iv", "ask_iv": "ask_iv"}
_PRICES = {
    "bid_price": "best_bid_price",
    "ask_price": "best_ask_price",
    "mark_price": "mark_price",
    "underlying_price": "underlying_price",
    "open_interest": "open_interest",
}

_Relation = Literal["market_data", "option_data"]
Writer = TickWriter | AsyncTickWriter
Callback = Callable[[Any, Any], Awaitable[None]]
"""What cryptofeed calls: with its object, and the time of receipt."""


class CryptofeedError(EntasisError):
    """What cryptofeed handed over cannot be read exactly."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        """What is wrong, in one word: the code in quarantine."""


class Source(Mapping[tuple[str, str], str]):
    """Makes callbacks for cryptofeed, and says how the trades that they write are numbered.

    Give it to the writer as its ``id_space``. One serves any number of feeds of one event loop.

    Ids are the exchange's own where it has integers (Binance's are those of aggregated trades, in
    an id space of their own; Deribit's are the trade's sequence in its instrument). Where it has
    other text, an id is the first 63 bits of a SHA-256 of that text (digest_id()), which is kept as
    source_id; where it has nothing, of the whole trade and its place among its like in one message:
    what is sent again after a reconnection gets the ids that it had. Two trades of one microsecond
    whose digests meet are a conflict, and the second is quarantined, unless they agree in price and
    volume and have no text.
    """

    def __init__(self, exchanges: Mapping[str, Exchange] | None = None) -> None:
        """Make a source; ``exchanges`` adds to EXCHANGES, or replaces some."""
        self._exchanges = {**EXCHANGES, **(exchanges or {})}
        self._markets: dict[tuple[str, str], str] = {}
        self.time_units: dict[tuple[str, str], TimeUnit] = {}
        """In which unit each market states times, for the writer that has this as its id_space."""
        self._positions = Positions()
        self._notices = Notices(_log)

    def trades(self, writer: Writer) -> Callback:
        """Return a callback for the channel TRADES that waits until the writer has accepted it.

        What cannot be read exactly goes to quarantine, with a warning for each exchange and kind
        of fault at first and then once a minute, and the next trade goes on. The callback raises
        WriterError when the writer has ended, and nothing else.
        """
        positions = Positions()

        async def write(trade: Any, receipt_timestamp: Any) -> None:
            row: Trade | Unreadable
            try:
                row = self._trade(trade, receipt_timestamp, positions)
            except CryptofeedError as error:
                row = self._unreadable("market_data", trade, error)
            await self._write(writer, "market_data", trade, row)

        return write

    def quotes(self, writer: Writer) -> Callback:
        """Return a callback for the channel TICKER of Deribit: its options have greeks.

        Tickers of other instruments are passed over. What cannot be read goes to quarantine, as in
        ``trades``.
        """

        async def write(ticker: Any, receipt_timestamp: Any) -> None:  # noqa: ARG001
            row: OptionQuote | Unreadable | None
            try:
                row = self.quote(ticker)
            except CryptofeedError as error:
                row = self._unreadable("option_data", ticker, error)
            if row is not None:
                await self._write(writer, "option_data", ticker, row)

        return write

    def trade(self, trade: Any, receipt_timestamp: Any) -> Trade:
        """Turn one of cryptofeed's trades into one of Entasis DB's.

        Trades of one message, which have one time of receipt, must come once, and in their order.
        Raises CryptofeedError when a trade cannot be read exactly.
        """
        return self._trade(trade, receipt_timestamp, self._positions)

    def quote(self, ticker: Any) -> OptionQuote | None:
        """Turn one of cryptofeed's Deribit tickers into an option quote; None for other tickers.

        Volatilities are fractions; iv is that of the mark price. What is missing is None. It has
        no id: it is numbered when it is stored, and one that is sent again
        is there already. Raises CryptofeedError when a quote cannot be read exactly.
        """
        with _reading("a ticker", ticker):
            if ticker.exchange != "DERIBIT":
                return None
            raw = ticker.raw["params"]["data"]
            if "greeks" not in raw:
                return None
            contract = deribit_contract(text(raw["instrument_name"]))
            told: dict[str, Any] = {name: computed(raw["greeks"].get(name)) for name in _GREEKS}
            told |= {name: computed(raw.get(sent), -2) for name, sent in _IVS.items()}
            told |= {name: number_or_none(raw.get(sent)) for name, sent in _PRICES.items()}
            return OptionQuote(*contract, milliseconds(raw["timestamp"]))._replace(**told)

    def __getitem__(self, market: tuple[str, str]) -> str:
        """Return the id space of a market that had a trade: (symbol, exchange)."""
        return self._markets[market]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Return the markets that had a trade."""
        return iter(tuple(self._markets))

    def __len__(self) -> int:
        """Return how many markets had a trade."""
        return len(self._markets)

    def _trade(self, trade: Any, receipt_timestamp: Any, positions: Positions) -> Trade:
        with _reading("a trade", trade):
            exchange = self._exchanges.get(trade.exchange)
            if exchange is None:
                raise RowError(
                    "exchange",
                    "its exchange has no reader. Give Source an Exchange for it, or leave it out; "
                    f"known are {', '.join(sorted(self._exchanges))}",
                )
            message = (trade.exchange, trade.symbol, receipt_timestamp)
            reading = exchange.read(trade, positions.next(message))
            id_space, source_id = "digest", None
            if isinstance(reading.id, tuple):
                number = _digest(trade, reading.id, message, positions)
            elif isinstance(reading.id, int) and -INT64 <= reading.id < INT64:
                number, id_space = reading.id, exchange.id_space
            else:
                source_id = str(reading.id)
                number = digest_id(source_id)
            market = (reading.symbol, exchange.name)
            row = Trade(
                id=number,
                symbol=reading.symbol,
                exchange=exchange.name,
                timestamp=reading.timestamp,
                price=reading.price,
                volume=reading.volume,
                side=reading.side,
                source_id=source_id,
                excluded=reading.excluded,
            )
            check_row(row)
            if market not in self._markets:
                self.time_units[market] = exchange.time_unit
            if self._markets.setdefault(market, id_space) != id_space:
                raise RowError(
                    "id",
                    f"its id is one of {id_space!r}, and the market's ids are of "
                    f"{self._markets[market]!r}",
                )
            return row

    async def _write(
        self, writer: Writer, relation: _Relation, fed: Any, row: Trade | OptionQuote | Unreadable
    ) -> None:
        try:
            await _put(writer, row)
        except (TypeError, ValueError) as error:
            # such as a market that the writer's own id_space does not name
            fault = CryptofeedError("message", f"The writer does not take it: {error}.")
            await _put(writer, self._unreadable(relation, fed, fault))

    def _unreadable(self, relation: _Relation, fed: Any, error: CryptofeedError) -> Unreadable:
        self._notices.note(
            (_exchange(fed), error.code),
            1,
            lambda: f"{error} It and all like it go to quarantine",
            f"{_exchange(fed)}: %d more messages went to quarantine as {error.code!r} in %d s",
        )
        return Unreadable(relation, error.code, str(error), _payload(fed))


@contextmanager
def _reading(what: str, fed: Any) -> Iterator[None]:
    """Turn whatever goes wrong while a message is read into a CryptofeedError."""
    what = f"{what} of {_exchange(fed)}"
    try:
        yield
    except RowError as error:
        raise CryptofeedError(error.code, f"{what} cannot be read: {error.reason}.") from error
    except Exception as error:
        raise CryptofeedError(
            "message",
            f"{what} has a form that is not known ({type(error).__name__}: {shown(error)}): this "
            "release of cryptofeed, or the exchange, tells it in another way.",
        ) from error


def _digest(
    trade: FedTrade,
    what: tuple[object, ...],
    message: tuple[object, ...],
    positions: Positions,
) -> int:
    known_by = "\t".join(map(str, (trade.exchange, trade.symbol, *what)))
    place = positions.next_alike(message, known_by)
    return int.from_bytes(sha256(f"{place}\t{known_by}".encode()).digest()[:8]) >> 1


def _payload(fed: Any) -> dict[str, object]:
    """Return what cryptofeed handed over."""
    names = ("exchange", "symbol", "side", "amount", "price", "id", "timestamp", "raw")
    told = {}
    for name in names:
        with suppress(Exception):  # what cannot be asked for is left out
            told[name] = getattr(fed, name)
    return told


def _exchange(fed: Any) -> str:
    try:
        return shown(getattr(fed, "exchange", None))
    except Exception:  # noqa: BLE001 - an attribute may be anything
        return "an unknown exchange"


async def _put(writer: Writer, row: Trade | OptionQuote | Unreadable) -> None:
    if isinstance(writer, AsyncTickWriter):
        await writer.put(row)
    elif not writer.offer(row):
        await asyncio.to_thread(writer.put, row)
