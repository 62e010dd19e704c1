"""From cryptofeed's callbacks into Entasis DB, exactly and with ids that make repeats harmless.

    from cryptofeed import FeedHandler
    from cryptofeed.defines import TRADES
    from cryptofeed.exchanges import Binance

    from entasis_db.live import TickWriter
    from entasis_db.live.cryptofeed import Source

    source = Source()
    with TickWriter(dsn, source="cryptofeed", id_space=source) as writer:
        handler = FeedHandler()
        callbacks = {TRADES: source.trades(writer)}
        handler.add_feed(Binance(symbols=["BTC-USDT"], channels=[TRADES], callbacks=callbacks))
        handler.run()

Works with cryptofeed 2.4.1 and later, and with cryptofeed 3.
"""

from entasis_db.live.cryptofeed.exchanges import EXCHANGES, Exchange, FedTrade, Reading
from entasis_db.live.cryptofeed.source import Callback, CryptofeedError, Source, Writer

__all__ = [
    "EXCHANGES",
    "Callback",
    "CryptofeedError",
    "Exchange",
    "FedTrade",
    "Reading",
    "Source",
    "Writer",
]
