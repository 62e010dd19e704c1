"""Break a server and recover it by the pages of docs/recovery/: ``make recovery-drill``.

Without a SCENARIO, all are played. The exit code is 1 when a page could not be run to its end, when
more was lost than it states, or when a candle is not what its trades make.
"""

import signal
import sys
from pathlib import Path

import click

from drills import report, run
from drills.rig import programs
from drills.scenarios import SCENARIOS
from drills.site import SHORT, Size, site


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(list(SCENARIOS)), metavar="[SCENARIO]...")
@click.option("--list", "listed", is_flag=True, help="List the scenarios, and play none.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--size",
    type=click.IntRange(SHORT.last_month),
    help="Trades of the archived month, and of the last one: "
    f"{SHORT.history} and {SHORT.last_month}, if it is not given.",
)
@click.option("--minutes", type=float, default=0, help="How long clients write before a disaster.")
@click.option(
    "--bindir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the server's programs. Debian's PostgreSQL 15, if it is not given.",
)
@click.option("--output", is_flag=True, help="Print what the pages print, too.")
def main(
    names: tuple[str, ...],
    listed: bool,
    as_json: bool,
    size: int | None,
    minutes: float,
    bindir: Path | None,
    output: bool,
) -> None:
    """Play scenarios."""
    if listed:
        for scenario in SCENARIOS.values():
            click.echo(f"{scenario.name}: lost is {scenario.loss.text}")
        return
    bindir = bindir or programs()
    if bindir is None:
        raise click.ClickException(
            "PostgreSQL 15 and pgBackRest are not both here. "
            "On Debian 12: apt install postgresql-15 pgbackrest"
        )
    # whoever ends it, its servers end with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results = []
    history, last = (SHORT.history, SHORT.last_month) if size is None else (size, size)
    with site(Size(history, last, seconds=60 * minutes), bindir) as found:
        for name in names or SCENARIOS:
            results.append(run.play(SCENARIOS[name], found))
            held = "FAILED" if results[-1].faults else "held"
            click.echo(f"{name}: {held}", err=True)
            if output:
                click.echo(results[-1].output, err=True)
        if as_json:
            click.echo(report.as_json(found, results))
        else:
            report.print_table(found, results)
    sys.exit(any(result.faults for result in results))


if __name__ == "__main__":
    main()
