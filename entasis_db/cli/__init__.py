"""The command ``entasis``: what a DBA and the people on call do by hand or from a scheduler."""

from entasis_db.cli.root import main

__all__ = ["main"]

main.deferred |= {
    command: module
    for module, commands in {
        "installation": ("migrate", "status", "rollback"),
        "environment": ("url", "env", "psql", "start", "stop"),
        "quality": ("gaps", "anomalies"),
        "load": ("load",),
        "files.backfill": ("backfill",),
        "markets": ("markets",),
        "candles": ("candles",),
        "pictures.smile": ("smile",),
        "pictures.chart": ("chart",),
        "pictures.report": ("report",),
        "pictures.demo": ("demo",),
        "check": ("check", "rebuild"),
        "doctor": ("doctor",),
        "upkeep": ("maintain", "runs"),
        "archive": ("archive", "restore", "history"),
        "reopen": ("reopen",),
        "backup": ("backup", "restore-backup"),
        "copies": ("dump", "restore-dump"),
    }.items()
    for command in commands
}
