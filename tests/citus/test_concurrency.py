"""Writers on several nodes at once, while a shard moves and a symbol gets a shard of its own."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import psycopg
import pytest

from entasis_db.ingest.retry import retrying
from tests.db import Connection, one
from tests.engines import Database
from tests.oracle import assert_candles_are_right

pytestmark = pytest.mark.workers

_SYMBOLS = ("C0", "C1", "C2", "C3")
_START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=3)
_ROW = "(%s::text, %s::text, %s::timestamptz, %s::bigint, %s::numeric, %s::numeric)"
_COLUMNS = "(symbol, exchange, timestamp, id, price, volume)"


Row = tuple[str, str, datetime, int, Decimal, Decimal]


def row(dice: random.Random) -> Row:
    """Draw a trade; its id says when it was, so that no id is told at two times."""
    number = dice.randrange(40)
    return (
        dice.choice(_SYMBOLS),
        "x",
        _START + timedelta(seconds=7 * number),
        number,
        Decimal(dice.randrange(1, 100)),
        Decimal(dice.randrange(1, 9)),
    )


def inserted(connection: Connection, dice: random.Random) -> None:
    rows = sorted({row(dice)[:4]: row(dice) for _ in range(dice.randrange(1, 30))}.values())
    values = ", ".join([_ROW] * len(rows))
    connection.execute(
        f"INSERT INTO entasis.market_data {_COLUMNS} VALUES {values}"
        " ON CONFLICT DO NOTHING".encode(),
        [value for each in rows for value in each],
    )


def corrected(connection: Connection, dice: random.Random) -> None:
    symbol, exchange, _, number, price, _ = row(dice)
    connection.execute(
        "UPDATE entasis.market_data SET price = %s WHERE symbol = %s AND exchange = %s AND id = %s",
        [price, symbol, exchange, number],
    )


def deleted(connection: Connection, dice: random.Random) -> None:
    symbol, exchange, _, number, _, _ = row(dice)
    connection.execute(
        "DELETE FROM entasis.market_data WHERE symbol = %s AND exchange = %s AND id = %s",
        [symbol, exchange, number],
    )


def upserted(connection: Connection, dice: random.Random) -> None:
    connection.execute(
        f"INSERT INTO entasis.market_data {_COLUMNS} VALUES {_ROW}"
        " ON CONFLICT (symbol, timestamp, exchange, id) DO UPDATE SET price = excluded.price",
        row(dice),
    )


def write(database: Database, end: float, seed: int) -> int:
    """Write transactions of random statements until the end; answer how many were committed."""
    dice = random.Random(seed)
    committed = 0
    with database.connect() as connection:

        def step(chosen: list[partial[None]], undone: bool) -> None:
            with connection.transaction(force_rollback=undone):
                for statement in chosen:
                    statement()

        while time.monotonic() < end:
            drawn = [
                partial(dice.choice([inserted, inserted, corrected, deleted, upserted]), connection)
                for _ in range(dice.randrange(1, 3))
            ]
            # the same again when the transaction is repeated
            chosen = [partial(statement, random.Random(dice.random())) for statement in drawn]
            retrying(partial(step, chosen, dice.random() < 0.2))
            committed += 1
    return committed


def move_shard(connection: Connection, symbol: str, mode: str) -> None:
    """Move the shard of a symbol, with those beside it, to another worker."""
    shard, host, port = connection.execute(
        "SELECT shardid, nodename, nodeport FROM citus_shards"
        " WHERE table_name = 'entasis.market_data'::regclass"
        " AND shardid = get_shard_id_for_distribution_column('entasis.market_data', %s::text)",
        [symbol],
    ).fetchone() or (None, None, None)
    to = connection.execute(
        "SELECT nodename, nodeport FROM pg_dist_node WHERE shouldhaveshards AND nodeport <> %s"
        " LIMIT 1",
        [port],
    ).fetchone()
    assert to is not None
    connection.execute(
        "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, %s)", [shard, host, port, *to, mode]
    )
    assert (
        one(connection, "SELECT nodeport FROM citus_shards WHERE shardid = %s LIMIT 1", shard)
        == to[1]
    )


@pytest.mark.parametrize("mode", ["block_writes", "force_logical"])
def test_candles_are_right_whatever_moves(database: Database, mode: str, short: bool) -> None:
    """Six writers of random transactions, a move, a shard of its own; checks all the while."""
    end = time.monotonic() + (12 if short else 40)
    false_alarms = []
    with ThreadPoolExecutor(6) as pool, database.connect() as connection:
        for symbol in _SYMBOLS:
            connection.execute("SELECT entasis.record_id_space(%s, 'x', 'trade', 'test')", [symbol])
        writing = [pool.submit(write, database, end, seed) for seed in range(6)]
        time.sleep(1)
        retrying(partial(move_shard, connection, "C1", mode))
        retrying(
            partial(
                connection.execute,
                # (by logical replication, Citus does not come to an end while candles change)
                "SELECT isolate_tenant_to_new_shard("
                "'entasis.market_data', 'C2', 'CASCADE', 'block_writes')",
            )
        )
        while time.monotonic() < end:
            false_alarms += connection.execute("SELECT * FROM entasis.check_candles()").fetchall()
        committed = [each.result() for each in writing]
        assert all(committed)
        assert not false_alarms
        assert one(connection, "SELECT count(*) FROM entasis.market_data") > 0
        assert_candles_are_right(connection)
        isolated = "SELECT get_shard_id_for_distribution_column('entasis.market_data', %s::text)"
        assert one(connection, isolated, "C2") not in {
            one(connection, isolated, symbol) for symbol in _SYMBOLS if symbol != "C2"
        }


def test_candles_of_a_moved_shard_follow(database: Database) -> None:
    """What was moved has its triggers, and so has what is made there later."""
    with database.connect() as connection:
        dice = random.Random(1)
        for _ in range(20):
            inserted(connection, dice)
        move_shard(connection, "C0", "block_writes")
        connection.execute(
            "SELECT isolate_tenant_to_new_shard("
            "'entasis.market_data', 'C3', 'CASCADE', 'block_writes')"
        )
        for _ in range(20):
            inserted(connection, dice)
            corrected(connection, dice)
            deleted(connection, dice)
        connection.execute(
            "SELECT entasis.ensure_partitions('market_data', now() - interval '80 days',"
            " now() - interval '30 days')"
        )
        for symbol in _SYMBOLS:
            connection.execute(
                "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
                " VALUES (%s, 'x', now() - interval '40 days', 1000, 1, 1)",
                [symbol],
            )
        assert_candles_are_right(connection)


def test_an_error_is_one_that_a_writer_knows(database: Database) -> None:
    """A CHECK on a shard is a violation of a CHECK, and its text has the name of it."""
    with database.connect() as connection, pytest.raises(psycopg.errors.CheckViolation) as caught:
        connection.execute(
            "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
            " VALUES ('C0', 'x', now(), 1, 1, -1)"
        )
    assert 'check constraint "market_data_volume_exact' in str(caught.value)
