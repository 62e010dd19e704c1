"""Files of trades, and the command as a test calls it."""

from datetime import datetime, timedelta

from click.testing import CliRunner, Result

from entasis_db.cli import main
from tests.engines import Database
from tests.make import NOON

HEADER = "exchange,symbol,timestamp_ns,sequence,trade_id,price,volume\n"


def stamp(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def lines(count: int, symbol: str = "BTC", step: timedelta = timedelta(seconds=20)) -> str:
    """Trades whose price goes up and down."""
    return "".join(
        f"x,{symbol},{stamp(NOON + n * step) + 7},{n},{n},{100 + n % 7}.5,0.25\n"
        for n in range(count)
    )


def entasis(database: Database | str | None, *arguments: str) -> Result:
    dsn = database.dsn if isinstance(database, Database) else database
    return CliRunner().invoke(main, [*(("--database", dsn) if dsn else ()), *arguments])


def succeeds(database: Database | str | None, *arguments: str) -> str:
    result = entasis(database, *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def leaves(database: Database | str | None, *arguments: str) -> str:
    """Answer what is said by a command that is done and left something over."""
    result = entasis(database, *arguments)
    assert result.exit_code == 3, result.output
    assert result.stderr.count("\n") == 1
    return result.stdout


def fails(database: Database | str | None, *arguments: str, code: int = 1) -> str:
    """Answer the one line that says why."""
    result = entasis(database, *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code
    assert result.stderr.startswith("entasis: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removesuffix("\n")
