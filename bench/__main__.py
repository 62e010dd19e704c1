"""Command line of the benchmark."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import psycopg

from bench import report
from bench.lines import BATCH, Bench, run
from bench.measure import MeasurementError
from bench.progress import Progress
from bench.server import running
from entasis_db.errors import EntasisError

_NUMBERS = range(1, 16)
# with fewer, the batch that comes after the stored trades would reach back to the busy day
_SMALLEST = 5 * BATCH


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 whatever the figures are, 1 only when they could not be taken."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress()
    try:
        with running(os.environ.get("DATABASE_URL") or None) as server:
            known = report.facts(server, given.sizes)
            bench = Bench(server, progress)
            # as soon as it is known, so that a run that is cut short has said what it was
            print(report.heading(known), flush=True)
            try:
                run(bench, given.sizes, given.lines)
            finally:
                progress.close()
                if bench.sections:
                    print("\n" + report.text(bench.sections.values()), flush=True)
    except KeyboardInterrupt:
        progress.fail("interrupted")
        return 130
    except (EntasisError, MeasurementError, PermissionError, OSError, psycopg.Error) as error:
        progress.fail(str(error))
        return 1
    if given.json is not None:
        found = {**known, "lines": [s.as_json() for _, s in sorted(bench.sections.items())]}
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Entasis DB: ratios taken side by side in one run.",
        epilog="With DATABASE_URL (a superuser's), databases are made on that server and dropped"
        " again; its settings are left alone, and the roles of Entasis DB stay. Without it, a"
        " temporary cluster is made under $TMPDIR, whose disk is then what is measured.",
    )
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000_000, 5_000_000],
        metavar="N",
        help="numbers of trades to measure at (default: %(default)s)",
    )
    parser.add_argument(
        "--lines",
        type=int,
        nargs="+",
        choices=_NUMBERS,
        default=list(_NUMBERS),
        metavar="N",
        help="take only these lines, 1 to 15",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there too")
    given = parser.parse_args(arguments)
    if min(given.sizes) < _SMALLEST:
        parser.error(f"a size is {_SMALLEST:,} trades at least")
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"{given.json.parent} is not a folder")
    return given


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
