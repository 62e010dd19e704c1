"""What a drill prints: a table for people, JSON for machines."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from drills.run import Result
from drills.site import Site
from entasis_db.cli.output import print_whole


def as_json(site: Site, results: Sequence[Result]) -> str:
    """Return all of it as one JSON object."""
    return json.dumps(
        {
            "server": site.server_version,
            "database_bytes": site.database_bytes,
            "trades": site.source,
            "scenarios": [_values(result) for result in results],
        },
        indent=2,
    )


def _values(result: Result) -> dict[str, Any]:
    account = result.account
    return {
        "scenario": result.scenario.name,
        "page": f"docs/recovery/{result.scenario.page}.md",
        "held": not result.faults,
        "states": result.scenario.loss.text,
        "acknowledged": account and account.acknowledged,
        "lost": account and len(account.missing),
        "lost_seconds": round(result.lost_seconds, 3),
        "candles": account and account.candles,
        "wrong_candles": account and len(account.wrong_candles),
        "commands_seconds": round(result.commands_seconds, 3),
        "outage_seconds": round(result.outage_seconds, 3),
        "blocks": [{"line": line, "seconds": round(seconds, 3)} for line, seconds in result.blocks],
        "faults": result.faults,
    }


def print_table(site: Site, results: Sequence[Result]) -> None:
    """Print a row for each scenario, and what went wrong below."""
    table = Table("scenario", "the page states as lost")
    for name in ("lost", "of", "RPO (s)", "commands (s)", "no writes (s)", "candles", ""):
        table.add_column(name, justify="right")
    for result in results:
        account = result.account
        table.add_row(
            result.scenario.name,
            result.scenario.loss.text,
            *("" if account is None else f"{len(account.missing):,}",),
            *("" if account is None else f"{account.acknowledged:,}",),
            f"{result.lost_seconds:.1f}",
            f"{result.commands_seconds:.1f}",
            f"{result.outage_seconds:.1f}",
            *("" if account is None else f"{account.candles:,}",),
            "held" if not result.faults else "FAILED",
        )
    print_whole(table)
    print(f"{site.server_version}; {site.database_bytes / 1e6:.0f} MB; {site.source}")
    for result in results:
        for fault in result.faults:
            print(f"{result.scenario.name}: {fault}")
