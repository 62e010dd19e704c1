"""Backups of the whole server: whether there are any, and whether they could be restored."""

from entasis_db.backups.archiver import Archiver
from entasis_db.backups.check import check_backups
from entasis_db.backups.findings import Finding, Schedule
from entasis_db.backups.pgbackrest import Backup, PgBackRest, Repository
from entasis_db.backups.report import BackupReport

__all__ = [
    "Archiver",
    "Backup",
    "BackupReport",
    "Finding",
    "PgBackRest",
    "Repository",
    "Schedule",
    "check_backups",
]
