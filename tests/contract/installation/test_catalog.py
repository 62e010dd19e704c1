"""What a DBA meets in psql: everything explained, qualified, and owned by no login."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from entasis_db.catalog import ROLES
from tests.engines import Database

OURS = "IN ('entasis', 'entasis_internal')"


@pytest.fixture
def connection(shared_connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """One database is enough for tests that look, or take back what they wrote."""
    with shared_connection.transaction(force_rollback=True):
        yield shared_connection


def names(connection: psycopg.Connection[Any], query: str) -> list[str]:
    return [name for (name,) in connection.execute(query).fetchall()]


def test_every_object_has_a_comment(connection: psycopg.Connection[Any]) -> None:
    assert not names(
        connection,
        f"""
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace::regnamespace::text {OURS} AND relkind IN ('r', 'p', 'v', 'S')
            AND obj_description(oid, 'pg_class') IS NULL
            AND NOT EXISTS (  -- the sequence of an identity column is explained by the column
                SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'i')
        UNION ALL
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace::regnamespace::text {OURS} AND obj_description(oid, 'pg_proc') IS NULL
        UNION ALL
        SELECT attrelid::regclass::text || '.' || attname
        FROM pg_attribute INNER JOIN pg_class AS c ON attrelid = c.oid
        WHERE relnamespace::regnamespace::text {OURS} AND relkind IN ('r', 'p', 'v') AND attnum > 0
            AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL
        UNION ALL
        SELECT oid::regtype::text FROM pg_type
        WHERE typnamespace::regnamespace::text {OURS} AND typtype = 'e'
            AND obj_description(oid, 'pg_type') IS NULL
        UNION ALL
        SELECT polname::text FROM pg_policy WHERE obj_description(oid, 'pg_policy') IS NULL
        UNION ALL
        SELECT nspname::text FROM pg_namespace
        WHERE nspname LIKE 'entasis%' AND obj_description(oid, 'pg_namespace') IS NULL
        """,
    )


def test_every_role_has_a_comment(connection: psycopg.Connection[Any], shared: Database) -> None:
    roles = [*ROLES, *(["entasis_jobs"] if shared.can("hypertables") else [])]
    found = connection.execute(
        "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles"
        " WHERE rolname = ANY (%s)",
        [roles],
    ).fetchall()
    assert len(found) == len(roles)
    assert all(said and said.startswith("Entasis DB: ") for _, said in found), found


def test_no_partition_is_among_the_tables_of_callers(
    connection: psycopg.Connection[Any],
) -> None:
    schemas = names(
        connection,
        "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class"
        " WHERE relispartition AND relkind = 'r'",
    )
    assert "entasis" not in schemas


def test_everything_belongs_to_the_owner_without_login(
    connection: psycopg.Connection[Any], shared: Database
) -> None:
    # whoever asks for a job's errors has to own it
    others = ["entasis_internal.job_runs()"] if shared.can("hypertables") else []
    if shared.engine == "citus":  # nodes come to each other as the owner
        others.append("entasis_owner")
    found = names(
        connection,
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace::regnamespace::text LIKE 'entasis%'
            AND relowner <> 'entasis_owner'::regrole
        UNION ALL
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace::regnamespace::text LIKE 'entasis%'
            AND proowner <> 'entasis_owner'::regrole
        UNION ALL
        SELECT nspname FROM pg_namespace
        WHERE nspname LIKE 'entasis%' AND nspowner <> 'entasis_owner'::regrole
        UNION ALL
        SELECT rolname FROM pg_roles WHERE rolname IN ('entasis_owner', 'entasis_reader',
            'entasis_writer', 'entasis_admin', 'entasis_service', 'entasis_monitor')
            AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolbypassrls)
        """,
    )
    assert found == others


def test_no_routine_depends_on_its_callers_path(connection: psycopg.Connection[Any]) -> None:
    # A body that is parsed when it is made (prosqlbody) has its names resolved already. Procedures
    # that commit cannot have settings: the next test is theirs.
    assert not names(
        connection,
        f"""
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace::regnamespace::text {OURS}
            AND prokind = 'f' AND prosqlbody IS NULL
            AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
        """,
    )
    assert not names(
        connection,
        f"""
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace::regnamespace::text {OURS}
            AND prosecdef
            AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
        """,
    )


# operators and functions that go before those of pg_catalog
HOSTILE = """
    CREATE SCHEMA hostile;
    CREATE FUNCTION hostile.pg_sleep(double precision) RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN RAISE 'hijacked'; END $$;
    CREATE FUNCTION hostile.add(bigint, integer) RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RAISE 'hijacked'; END $$;
    CREATE FUNCTION hostile.gt(integer, integer) RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN RAISE 'hijacked'; END $$;
    CREATE OPERATOR hostile.+ (FUNCTION = hostile.add, LEFTARG = bigint, RIGHTARG = integer);
    CREATE OPERATOR hostile.> (FUNCTION = hostile.gt, LEFTARG = integer, RIGHTARG = integer);
    CREATE DOMAIN hostile.record AS text CHECK (hostile.gt(1, 1));
    CREATE DOMAIN hostile.timestamptz AS timestamptz CHECK (hostile.gt(1, 1));
    CREATE DOMAIN hostile.text AS text CHECK (hostile.gt(1, 1));
    SET search_path = hostile, pg_catalog;
"""


def test_procedures_work_under_a_hostile_path(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(HOSTILE)
        with pytest.raises(psycopg.errors.RaiseException, match="hijacked"):
            connection.execute("SELECT 1 > 0")
        connection.execute("CALL entasis.maintain()")
        connection.execute("CALL entasis.rebuild_candles('-infinity', 'infinity')")


@pytest.mark.parametrize(
    ("index", "leading"),
    [
        ("idx_market_data_symbol_timestamp", ["symbol", "timestamp"]),
        ("idx_market_data_exchange_timestamp", ["exchange", "timestamp DESC"]),
        ("idx_option_data_underlying_expiry", ["underlying", "expiry_date"]),
        ("idx_option_data_strike_type", ["strike_price", "option_type"]),
        ("idx_predictions_model_symbol", ["model_id", "symbol"]),
        ("idx_predictions_timestamp", ["timestamp DESC"]),
        ("idx_portfolio_user_timestamp", ["user_id", "timestamp DESC"]),
    ],
)
def test_the_documents_indexes_exist(
    connection: psycopg.Connection[Any], index: str, leading: list[str]
) -> None:
    columns = names(
        connection,
        f"""
        SELECT pg_get_indexdef(indexrelid, n, false)
            || CASE WHEN indoption[n - 1] & 1 = 1 THEN ' DESC' ELSE '' END
        FROM pg_index CROSS JOIN generate_series(1, indnkeyatts) AS n
        WHERE indexrelid = 'entasis.{index}'::regclass ORDER BY n
        """,
    )
    assert [c.replace('"', "") for c in columns[: len(leading)]] == leading


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "market_data",
            "id symbol exchange timestamp price volume created_at side source_id excluded",
        ),
        (
            "option_data",
            "id underlying strike_price expiry_date option_type iv delta gamma theta vega"
            # and what came after the document
            " timestamp bid_price ask_price mark_price bid_iv ask_iv underlying_price open_interest"
            " rho",
        ),
        (
            "predictions",
            "id model_id symbol prediction_type predicted_value confidence timestamp target_time",
        ),
        (
            "portfolio_status",
            "id user_id asset_type position_size entry_price current_price pnl timestamp",
        ),
        ("mv_ohlcv_1h", "symbol timeframe open high low close volume"),
        *(
            (
                f"ohlcv_{interval}",
                "symbol exchange bucket open high low close volume quote_volume trades opened_at"
                " first_trade_id closed_at last_trade_id",
            )
            for interval in ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mo")
        ),
    ],
)
def test_relations_have_the_documents_columns(
    connection: psycopg.Connection[Any], table: str, columns: str
) -> None:
    assert (
        names(
            connection,
            "SELECT attname FROM pg_attribute"
            f" WHERE attrelid = 'entasis.{table}'::regclass AND attnum > 0 ORDER BY attnum",
        )
        == columns.split()
    )


MARKET = "symbol, exchange, timestamp, id, price, volume"


@pytest.mark.parametrize(
    "values",
    [
        "'', 'x', now(), 1, 1, 1",
        "'a', '', now(), 1, 1, 1",
        "'a', 'x', now(), 1, 0, 1",
        "'a', 'x', now(), 1, -1, 1",
        "'a', 'x', now(), 1, 1, 0",
        "'a', 'x', now(), 1, 1, -1",
        "'a', 'x', now(), 1, 'NaN', 1",
        "'a', 'x', now(), 1, 1, 'NaN'",
        "'a', 'x', now(), 1, 'infinity', 1",
        "'a', 'x', now(), 1, 1, 'infinity'",
        "'a', 'x', now(), 1, 1e20, 1",
        "'a', 'x', now(), 1, 1, 1e20",
        "'a', 'x', now(), 1, 1e-19, 1",
        "'a', 'x', now(), 1, 1, 0.0000000000000000001",
        "'a', 'x', 'infinity', 1, 1, 1",
    ],
)
def test_a_trade_that_does_not_fit_is_refused(
    connection: psycopg.Connection[Any], values: str
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(f"INSERT INTO entasis.market_data ({MARKET}) VALUES ({values})")


@pytest.mark.parametrize("symbol", ["a" * 65, "é" * 65])
def test_a_long_symbol_is_refused(connection: psycopg.Connection[Any], symbol: str) -> None:
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        connection.execute(
            f"INSERT INTO entasis.market_data ({MARKET}) VALUES (%s, 'x', now(), 1, 1, 1)", [symbol]
        )


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        ("0.000000000000000001", "99999999999999999999.999999999999999999"),
        ("99999999999999999999.999999999999999999", "0.000000000000000001"),
        ("1.500000000000000000000000", "1.10000000000000000"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_what_fits_is_kept_to_the_last_digit(
    connection: psycopg.Connection[Any], price: str, volume: str
) -> None:
    stored = connection.execute(
        f"INSERT INTO entasis.market_data ({MARKET}) VALUES ('a', 'x', now(), 1, %s, %s)"
        " RETURNING price = %s::numeric AND volume = %s::numeric",
        [price, volume, price, volume],
    ).fetchone()
    assert stored == (True,)
    candle = connection.execute(
        "SELECT quote_volume = %s::numeric * %s::numeric FROM entasis.ohlcv_1d", [price, volume]
    ).fetchone()
    assert candle == (True,)
