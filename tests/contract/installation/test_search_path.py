"""Whoever may create in a schema of the search path becomes nobody else by it."""

import inspect
import re
from pathlib import Path

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from entasis_db import archive, candles, instruments, ledger, maintenance, reopening
from entasis_db.cli import main
from entasis_db.search_path import pinned
from tests.contract.cli.support import entasis
from tests.db import Connection, ensure
from tests.engines import REPOSITORY, Database
from tests.make import NOON, insert_trades, trade

pytestmark = pytest.mark.copy

DAY, NEXT = "2024-08-08", "2024-08-09"
# commands that ask nothing of a database
WITHOUT = {"rollback", "url", "env", "psql", "stop", "load"}
COMMANDS = {
    "migrate": [[]],
    "status": [[]],
    "markets": [["list"]],
    "candles": [["BTC", "--exchange", "x", "--interval", "1m"]],
    "check": [[]],
    "rebuild": [[DAY, NEXT, "--yes"]],
    "maintain": [[], ["--dry-run"]],
    "archive": [["--to", "{folder}"]],
    "restore": [["market_data", DAY, NEXT, "--from", "{folder}"]],
    "reopen": [["market_data", DAY, NEXT, "--yes"]],
}

_PLANTS = """
    CREATE SCHEMA hostile;
    CREATE FUNCTION hostile.is(text, text) RETURNS boolean LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
    CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.is);
    CREATE OPERATOR hostile.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.is);
    CREATE OPERATOR hostile.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.is);
    DO $do$ DECLARE p record; BEGIN
    FOR p IN SELECT proname, oidvectortypes(proargtypes) AS args FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND provariadic = 0
            AND proname = ANY ('{NAMED}'::text[])
            AND NOT EXISTS (SELECT FROM unnest(proargtypes::oid[]) AS a
                INNER JOIN pg_type AS t ON t.oid = a WHERE t.typtype = 'p')
    LOOP
        EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS text LANGUAGE plpgsql AS'
            ' $f$ BEGIN RAISE EXCEPTION $m$hijacked$m$; END $f$', p.proname, p.args);
    END LOOP; END $do$
"""


def plant(database: Database) -> str:
    """Stand in for every function of PostgreSQL's that the package names, and for operators."""
    text = "".join(
        file.read_text(encoding="utf-8") for file in (REPOSITORY / "entasis_db").rglob("*.py")
    )
    named = sorted(set(re.findall(r"\b([a-z_0-9]+)\(", text)))
    with database.connect() as stranger:
        stranger.execute(_PLANTS.replace("NAMED", ",".join(named)).encode())
    return make_conninfo(database.dsn, options="-c search_path=hostile,pg_catalog")


def test_every_command_is_tried() -> None:
    assert isinstance(main, click.Group)
    assert set(main.commands) == WITHOUT | set(COMMANDS)


def test_no_command_is_hijacked(database: Database, tmp_path: Path) -> None:
    with database.connect() as connection:
        ensure(connection, "market_data", NOON, NOON.replace(day=9))
        insert_trades(connection, trade(1, timestamp=NOON))
    hostile = plant(database)
    with (
        psycopg.connect(hostile, autocommit=True) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="hijacked"),
    ):
        connection.execute("SELECT 'a'::text = 'b'::text")
    for name, forms in COMMANDS.items():
        for arguments in forms:
            filled = [each.replace("{folder}", tmp_path.as_uri()) for each in arguments]
            result = entasis(hostile, name, *filled)
            assert "hijacked" not in result.output, name
            # not refused before it has asked anything
            assert result.exit_code != 2, (name, result.output)


def test_no_helper_is_hijacked(database: Database) -> None:
    hostile = plant(database)
    with psycopg.connect(hostile, autocommit=True) as connection:
        assert ledger.status(connection).drift == ()
        maintenance.maintain(connection)
        assert maintenance.maintenance_plan(connection) == []
        assert maintenance.left_over(connection) == 0
        assert candles.check_candles(connection) == []
        assert reopening.lost_candles(connection, NOON, NOON.replace(day=9)) == []
        row = connection.execute("SELECT pg_catalog.current_setting('search_path')").fetchone()
        assert row == ("hostile,pg_catalog",)


@pytest.mark.parametrize(
    "module",
    [archive, candles, instruments, maintenance, reopening],
    ids=lambda m: m.__name__,
)
def test_every_helper_pins_its_names(module: object) -> None:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("_") or not function.__module__.startswith("entasis_db."):
            continue
        parameters = list(inspect.signature(function).parameters)
        if parameters[:1] == ["connection"] and function.__module__.startswith(
            getattr(module, "__name__", "")
        ):
            assert hasattr(function, "__wrapped__"), name


def test_a_path_comes_back_whatever_happens(connection: Connection) -> None:
    show = "SELECT pg_catalog.current_setting('search_path')"
    former = connection.execute(show).fetchone()
    with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction(), pinned(connection):
        connection.execute("SELECT 1 / 0")
    assert connection.execute(show).fetchone() == former
    with pytest.raises(ValueError, match="mine"), pinned(connection):
        assert connection.execute(show).fetchone() == ("pg_catalog, pg_temp",)
        raise ValueError("mine")
    assert connection.execute(show).fetchone() == former
