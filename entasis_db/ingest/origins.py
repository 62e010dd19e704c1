"""Which markets a file may be of: what its rows say must not contradict its name or its venue."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import psycopg

from entasis_db.cursors import Cursor
from entasis_db.errors import LoadError
from entasis_db.ingest.exchanges import known_exchanges, near
from entasis_db.ingest.limits import is_name
from entasis_db.ingest.parts import Part
from entasis_db.ingest.targets import TRADES
from entasis_db.readers.binance import other_venue
from entasis_db.readers.names import is_named, named_symbol, stored_symbol

Market = tuple[str, str]
"""Symbol and exchange."""


class Origins:
    """Judges the markets of a file, each once.

    ``names`` are those of the file and of what is in it, ``symbol`` and ``exchange`` what was given
    of its market. With ``new_exchange``, an exchange may have any name.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        symbol: str | None = None,
        exchange: str | None = None,
        new_exchange: bool = False,
    ) -> None:
        self._names = list(dict.fromkeys(names))
        # who names the symbol knows better than the name of the file
        self.named = [] if symbol is not None else list(map(named_symbol, self._names))
        """The symbol of each name, as far as they state one."""
        self._given = exchange
        self._new_exchange = new_exchange
        self._seen: set[Market] = set()
        self._judged: set[str] = set()

    def has_seen(self, markets: Collection[Market]) -> bool:
        """Tell whether all of these markets have been judged."""
        return self._seen.issuperset(markets)

    def check(self, connection: psycopg.Connection[Any], markets: Collection[Market]) -> None:
        """Raise LoadError if a file with these markets is not what its name and venue say."""
        for symbol, exchange in markets:
            if (symbol, exchange) in self._seen or not (is_name(symbol) and is_name(exchange)):
                continue
            self._check_symbol(symbol, exchange)
            if exchange not in self._judged:
                refuse_near(
                    connection,
                    self._names[0],
                    exchange,
                    new_exchange=self._new_exchange,
                    given=exchange == self._given,
                )
                self._judged.add(exchange)
            self._seen.add((symbol, exchange))

    def check_underlyings(self, underlyings: Iterable[str]) -> None:
        """Raise LoadError if quotes of these underlyings are not of what the file's name says."""
        for underlying in underlyings:
            self._refuse_others(underlying, [n and n.split("-")[0] for n in self.named])

    def _check_symbol(self, symbol: str, exchange: str) -> None:
        source = self._names[0]
        if (stored := stored_symbol(exchange, symbol)) != symbol:
            raise LoadError(
                f"{source}: {exchange} writes its symbols in capitals, so {symbol} would be a "
                f"market beside {stored}; write {stored}"
            )
        if other := other_venue(exchange, symbol):
            raise LoadError(
                f"{source}: {symbol} is the name of a market of {other}, not of {exchange}; write "
                f"{other} as its exchange"
            )
        self._refuse_others(symbol, self.named)

    def _refuse_others(self, symbol: str, named: Iterable[str | None]) -> None:
        for name, said in zip(self._names, named, strict=bool(self.named)):
            if said is not None and not is_named(said, symbol):
                raise LoadError(
                    f"{self._names[0]}: by its name{'' if name == self._names[0] else f', {name},'}"
                    f" it is of {said}, and its rows are of {symbol}; rename the file if the rows "
                    "are right"
                )


def check_origins(connection: psycopg.Connection[Any], part: Part, origins: Origins) -> None:
    """Raise LoadError if the rows of a batch are not what the name of their file says."""
    batch = part.batch
    if batch.target is not TRADES:
        if origins.named:
            origins.check_underlyings(batch.unnumbered() or ())
    elif not (isinstance(part.id_space, Mapping) and origins.has_seen(part.id_space)):
        origins.check(connection, batch.market_names())


def refuse_near(
    connection: psycopg.Connection[Any],
    source: str,
    exchange: str | None,
    *,
    new_exchange: bool,
    given: bool = True,
) -> None:
    """Raise LoadError for an exchange that is not known and has nearly the name of one that is.

    Known are those of the readers and those in entasis.markets. ``given`` says whether it was named
    to the load; else the file's rows do.
    """
    known = known_exchanges()
    if exchange is None or new_exchange or exchange in known:
        return
    with Cursor(connection) as cursor:
        cursor.execute("SELECT DISTINCT m.exchange FROM entasis.markets AS m")
        known |= {name for (name,) in cursor}
    if found := near(exchange, known):
        write = f"{found[0]} (or {', '.join(found[1:])})" if found[1:] else found[0]
        raise LoadError(
            f"{source}: {exchange} is no exchange that is known, and nearly {found[0]}; write "
            f"{f'--exchange {write}' if given else f'{write} in its rows'}, or pass --new-exchange "
            "if it is another one"
        )
