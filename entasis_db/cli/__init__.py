"""The command ``entasis``: what a DBA and the people on call do by hand or from a scheduler."""

from entasis_db.cli import (
    archive,
    backup,
    candles,
    check,
    copies,
    doctor,
    environment,
    installation,
    load,
    markets,
    quality,
    reopen,
    upkeep,
)
from entasis_db.cli.root import main

__all__ = ["main"]

for _command in (
    *(installation.migrate, installation.status, installation.rollback),
    *(environment.url, environment.env, environment.psql, environment.stop),
    *(
        quality.gaps,
        quality.anomalies,
        load.load,
        markets.markets,
        candles.candles,
        check.check,
        check.rebuild,
    ),
    *(doctor.doctor, upkeep.maintain, upkeep.runs),
    *(archive.archive, archive.restore, archive.history, reopen.reopen),
    *(backup.backup, backup.restore_backup, copies.dump, copies.restore_dump),
):
    main.add_command(_command)
