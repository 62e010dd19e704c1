"""The page on logical replication, run on two servers."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from entasis_db.candles import check_candles
from entasis_db.ingest import ingest_trades
from entasis_db.migrate import migrate
from tests.contract.installation.test_docs import blocks
from tests.db import ensure
from tests.engines import REPOSITORY
from tests.make import NOON, trade
from tests.replicas.rig import SETTINGS, Servers, until

pytestmark = [
    pytest.mark.own_cluster,
    pytest.mark.standby,
    pytest.mark.newest_server,
    pytest.mark.candle_tables,
]

PAGE = REPOSITORY / "docs" / "operations" / "logical-replication.md"
CONNECTION = "host=publisher dbname=entasis user=replicator"


@pytest.fixture
def subscriber(trio: Servers) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    server = trio.rig.server("subscriber")
    server.initialise(SETTINGS)
    server.start()
    try:
        with server.connect("postgres") as connection:
            connection.execute("CREATE DATABASE entasis")
        migrate(server.dsn())
        with server.connect() as connection:
            yield connection
    finally:
        server.remove()


def page(side: str, number: int) -> list[str]:
    """The statements of the block of that number of one side."""
    found = [text for note, text in blocks(PAGE, "sql") if note == f"on {side}"]
    return list(filter(str.strip, found[number].split(";\n")))


def test_the_page_copies_follows_and_is_checked(
    trio: Servers, subscriber: psycopg.Connection[tuple[object, ...]]
) -> None:
    def written(*numbers: int, month: timedelta = timedelta(0)) -> None:
        rows = [trade(n, timestamp=NOON + month + timedelta(seconds=n)) for n in numbers]
        ingest_trades(publisher, rows, source="f", id_space="trade")

    def same() -> bool:
        (query,) = page("both", 0)
        both = [side.execute(query.encode()).fetchall() for side in (publisher, subscriber)]
        return both[0] == both[1]

    with trio.connect(trio.primary) as publisher:
        publisher.execute("DELETE FROM entasis.market_data")
        ensure(publisher, "market_data", NOON, NOON + timedelta(days=1))
        written(*range(1, 200))
        (made,) = page("publisher", 0)
        publisher.execute(made.encode())
        source = f"{trio[trio.primary].dsn()}"
        for statement in page("subscriber", 0):
            subscriber.execute(statement.replace(CONNECTION, source).encode())
        (copied,) = page("subscriber", 1)
        until(lambda: not subscriber.execute(copied.encode()).fetchall())
        until(same)
        # what goes on: new, corrected and deleted trades, with their candles
        written(*range(200, 400))
        publisher.execute("UPDATE entasis.market_data SET price = price + 1 WHERE id % 7 = 0")
        publisher.execute("DELETE FROM entasis.market_data WHERE id % 11 = 0")
        until(same)
        (behind,) = page("publisher", 1)
        ((_, active, _),) = publisher.execute(behind.encode()).fetchall()
        assert active
        assert subscriber.execute("SELECT count(*) FROM entasis.ohlcv_1m").fetchone() != (0,)
        assert check_candles(subscriber) == []
        # a drop deletes no row, and a month without a partition stops it until there is one
        ensure(publisher, "market_data", NOON - timedelta(days=90), NOON - timedelta(days=89))
        written(10**6, month=-timedelta(days=90))
        errors = "SELECT sum(apply_error_count) > 0 FROM pg_stat_subscription_stats"
        until(lambda: subscriber.execute(errors.encode()).fetchone() == (True,))
        assert not same()
        for relation in ("market_data", "ohlcv_1m", "ohlcv_1h", "ohlcv_1d"):
            ensure(subscriber, relation, NOON - timedelta(days=90), NOON - timedelta(days=89))
        until(same)
        subscriber.execute("DROP SUBSCRIPTION entasis")
        publisher.execute("DROP PUBLICATION entasis")


def test_without_the_candles_there_are_none(
    trio: Servers, subscriber: psycopg.Connection[tuple[object, ...]]
) -> None:
    with trio.connect(trio.primary) as publisher:
        publisher.execute("DELETE FROM entasis.market_data")
        ensure(publisher, "market_data", NOON, NOON + timedelta(days=1))
        ensure(subscriber, "market_data", NOON, NOON + timedelta(days=1))
        publisher.execute(
            "CREATE PUBLICATION trades FOR TABLE entasis.market_data"
            " WITH (publish_via_partition_root = true)"
        )
        source = trio[trio.primary].dsn()
        subscriber.execute(
            f"CREATE SUBSCRIPTION trades CONNECTION '{source}' PUBLICATION trades".encode()
        )
        ingest_trades(publisher, [trade(1)], source="f", id_space="trade")
        until(lambda: subscriber.execute("SELECT FROM entasis.market_data").fetchall())
        assert subscriber.execute("SELECT FROM entasis.ohlcv_1m").fetchall() == []
        assert check_candles(subscriber) != []
        subscriber.execute("DROP SUBSCRIPTION trades")
        publisher.execute("DROP PUBLICATION trades")
        # and all of the schema is no way either
        publisher.execute("CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA entasis")
        ((leaves,),) = publisher.execute(
            "SELECT count(*) FROM pg_publication_tables WHERE tablename ~ '_y[0-9]{4}m'"
        ).fetchall()
        assert leaves > 20
        with pytest.raises(psycopg.Error, match="replica identity"):
            publisher.execute("DELETE FROM entasis.reopened")
        publisher.execute("DROP PUBLICATION all_of_it")
