"""The command that opens dropped ranges for writers again."""

from datetime import datetime, timedelta

import click

from entasis_db import reopening
from entasis_db.cli import arguments
from entasis_db.cli.archive import STORE, open_archive
from entasis_db.cli.exit_codes import ExitCode
from entasis_db.cli.output import fail, step, when
from entasis_db.cli.target import Target, Use


@click.command()
@click.argument("relation", type=click.Choice(["market_data", "option_data"]))
@arguments.from_time
@arguments.to_time
@click.option("--symbol", help="One market, with --exchange; of option_data, an underlying.")
@click.option("--exchange", help="The venue of the market.")
@click.option(
    "--keep-for",
    type=click.IntRange(1, 36500),
    default=reopening.KEEP_FOR.days,
    show_default=True,
    help="Days for which maintenance leaves the range there.",
)
@click.option(
    "--discard-candles", is_flag=True, help="Throw away candles whose trades are not stored."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--from", "url", envvar="ENTASIS_ARCHIVE_URL", show_envvar=True, help=STORE)
@arguments.session_pooler
@click.pass_obj
def reopen(
    target: Target,
    relation: str,
    from_time: datetime,
    to_time: datetime,
    symbol: str | None,
    exchange: str | None,
    keep_for: int,
    discard_candles: bool,
    yes: bool,
    url: str | None,
    session_pooler: bool,
) -> None:
    """Open the UTC days from FROM_TIME up to TO_TIME below the floor for writers again.

    What was archived is restored first. Days that were dropped without an archive are opened for
    markets that have no candle there.
    """
    if not from_time < to_time:
        fail("FROM_TIME must lie before TO_TIME", ExitCode.USAGE)
    store = open_archive(url) if url else None
    held = timedelta(days=keep_for)
    with target.connect(Use.WRITES) as connection:
        if discard_candles and relation == "market_data":
            # what is restored is not lost
            reopening.restore_archived(
                connection,
                relation,
                from_time,
                to_time,
                store=store,
                hold=held,
                progress=step,
                session_pooler=session_pooler,
            )
            lost = reopening.lost_candles(
                connection, from_time, to_time, symbol=symbol, exchange=exchange
            )
            for one in lost:
                step(
                    f"throws away {one.candles:,} candles of {one.exchange} {one.symbol}, "
                    f"{one.days:,} of them of a day, whose trades are not stored"
                )
            if lost and not yes:
                click.confirm("They cannot be computed again. Go on?", abort=True)
        reopening.reopen(
            connection,
            relation,
            from_time,
            to_time,
            symbol=symbol,
            exchange=exchange,
            keep_for=held,
            discard_candles=discard_candles,
            store=store,
            progress=step,
            session_pooler=session_pooler,
        )
    market = " ".join(filter(None, [exchange, symbol])) or "all markets"
    step(f"{relation} is open from {when(from_time)} to {when(to_time)} for {market}")
