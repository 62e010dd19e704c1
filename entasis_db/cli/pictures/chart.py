"""The command that draws the rows of any query."""

from pathlib import Path

import click

from entasis_db.charts import of_rows
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail
from entasis_db.cli.pictures import asking, files
from entasis_db.cli.target import Target


@click.command()
@click.option(
    "--query",
    "name",
    required=True,
    metavar="NAME",
    help="A function of entasis_db.queries or entasis_db.analysis, such as volume_profile.",
)
@click.argument("given", nargs=-1, metavar="KEY=VALUE...")
@click.option("--across", metavar="COLUMN", help="What is across. Default: the first time.")
@click.option("--column", "columns", metavar="COLUMN", multiple=True, help="What is drawn.")
@click.option(
    "--apart",
    metavar="COLUMN",
    multiple=True,
    help="Rows that differ in it are lines of their own. Default: columns of text and spans.",
)
@files.options
@click.pass_obj
def chart(
    target: Target,
    /,
    name: str,
    given: tuple[str, ...],
    across: str | None,
    columns: tuple[str, ...],
    apart: tuple[str, ...],
    **paths: Path | None,
) -> None:
    """Draw the rows of a query into a file.

    KEY=VALUE are the arguments of its function: symbol=BTCUSDT from_time=2024-08-08, spans as 5m or
    1d, lists with commas. Rows with open, high, low and close become candles.
    """
    if name not in asking.known():
        fail(f"there is no query {name}; there are {', '.join(asking.known())}", ExitCode.USAGE)
    if not any(paths.values()):
        fail("name a file: --html, --png or --svg", ExitCode.USAGE)
    try:
        statement = asking.ask(name, given)
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    with target.connect() as connection:
        rows = statement.fetch(connection)
    market = " ".join(
        str(statement.params[key])
        for key in ("exchange", "symbol", "underlying", "model_id")
        if statement.params.get(key)
    )
    title = f"{market} {name}".strip()
    made = of_rows(title, rows, across=across, columns=columns, apart=apart or None)
    files.save_all(made, paths)
