"""Command line of the benchmark."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from bench import recorded, registry, report
from bench.context import FULL, QUICK, SMALLEST_BATCHES
from bench.progress import Progress
from bench.run import Run
from bench.server import DURABLE, VOLATILE, Server, running
from entasis_db.errors import EntasisError

_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM


class _Terminated(BaseException):
    """Somebody sent SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 whatever the figures are, 1 only when some could not be taken."""
    given = _parse(arguments)
    if given.list:
        print(_list())
        return 0
    signal.signal(signal.SIGTERM, _terminated)
    progress = Progress()
    settings = VOLATILE if given.quick else DURABLE
    try:
        with running(os.environ.get("DATABASE_URL") or None, settings) as server:
            return _measure(server, progress, given)
    except KeyboardInterrupt:
        progress.fail("interrupted; what was found so far stands above")
        return _INTERRUPTED
    except _Terminated:
        progress.fail("terminated; what was found so far stands above")
        return _TERMINATED
    except (EntasisError, PermissionError, OSError, psycopg.Error) as error:
        hint = "\nIs DATABASE_URL right? Without it, a temporary cluster is measured."
        progress.fail(f"{error}{hint if os.environ.get('DATABASE_URL') else ''}")
        return 1


def _measure(server: Server, progress: Progress, given: argparse.Namespace) -> int:
    effort = QUICK if given.quick else FULL
    sizes = given.sizes or effort.sizes
    known = report.facts(server, sizes, effort)
    # as soon as it is known, so that a run that is cut short has said what it was
    print(report.heading(known), flush=True)
    run = Run(server, progress, given.lines, sizes, effort)
    try:
        run.take()
    finally:
        progress.close()
        if found := report.text(run.sections):
            print("\n" + found, flush=True)
        if found := report.goals(run.sections):
            print("\n" + found, flush=True)
        if not given.quick and (changes := recorded.text(run.sections, known)):
            print("\n" + changes, flush=True)
        if given.json is not None:
            _write(given.json, {**known, **run.as_json()})
    if given.record:
        recorded.record({**known, **run.as_json()})
    return 0 if run.complete else 1


def _write(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _list() -> str:
    """Name every line, by subject, and every profile."""
    named = [(line.subject.value, line.name, line.title) for line in registry.lines()]
    named += [("Profiles", name, line.title) for name, line in registry.profiles().items()]
    width = max(len(name) for _, name, _ in named)
    parts = []
    for subject, group in groupby(named, key=itemgetter(0)):
        rows = [f"  {name:<{width}}  {title}" for _, name, title in group]
        parts.append("\n".join([subject, *rows]))
    return "\n\n".join(parts)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Entasis DB: ratios taken side by side in one run.",
        epilog="With DATABASE_URL (a superuser's), databases are made on that server and dropped"
        " again; its settings are left alone, and the roles of Entasis DB stay. Without it, a"
        " temporary cluster is made under $TMPDIR, whose disk is then what is measured.",
    )
    sizes = ", ".join(map(str, FULL.sizes))
    add = parser.add_argument
    add("--list", action="store_true", help="name the lines, one sentence each, and end")
    one_of = parser.add_mutually_exclusive_group().add_argument
    one_of(
        "--lines",
        nargs="+",
        default=[],
        metavar="NAME",
        help="take only these lines, by name, separated by commas or spaces (default: all)",
    )
    one_of("--profile", metavar="NAME", help="take one thing apart instead: ingest")
    add(
        "--sizes",
        nargs="+",
        default=[],
        metavar="N",
        help=f"numbers of trades to measure at (default: {sizes})",
    )
    add(
        "--quick",
        action="store_true",
        help="few trades, once, on a cluster that is not durable: to see that a line runs; the"
        " figures mean nothing",
    )
    add("--json", type=Path, metavar="FILE", help="write what was found there too")
    add("--record", action="store_true", help="keep the ratios for later runs to be compared with")
    given = parser.parse_args(arguments)
    if given.record and given.quick:
        parser.error("--record: the figures of --quick mean nothing")
    try:
        given.lines = (
            (registry.profile(given.profile),)
            if given.profile
            else registry.choose(_split(given.lines))
        )
        given.sizes = tuple(map(_size, _split(given.sizes)))
    except ValueError as error:
        parser.error(str(error))
    if given.json is not None and not given.json.absolute().parent.is_dir():
        parser.error(f"--json: {given.json.parent} is not a folder; make it first")
    return given


def _split(words: Sequence[str]) -> list[str]:
    return [name for word in words for name in word.split(",") if name]


def _size(text: str) -> int:
    """Read one size; ValueError says what it must be."""
    smallest = 100 * SMALLEST_BATCHES
    if not text.isdecimal() or int(text) < smallest:
        raise ValueError(f"--sizes: {text!r} is no size; give a number of {smallest} or more")
    return int(text)


def _terminated(*_: object) -> NoReturn:
    raise _Terminated


if __name__ == "__main__":
    sys.exit(main())
