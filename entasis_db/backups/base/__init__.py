"""Backups of small servers by pg_basebackup: full and incremental, in a folder or S3.

For PostgreSQL 17 and later, the embedded server among them. Each is a set of objects: the data
folder and the WAL that was written meanwhile, PostgreSQL's own manifest, and ours, which is written
last and without which it counts for nothing.
"""

from entasis_db.backups.base.check import PlaceReport, check_place, judged_place
from entasis_db.backups.base.manifest import BaseBackup, StoredObject
from entasis_db.backups.base.place import Place, read_place
from entasis_db.backups.base.restore import RestoredBackup, restore_backup
from entasis_db.backups.base.take import Taken, take_backup

__all__ = [
    "BaseBackup",
    "Place",
    "PlaceReport",
    "RestoredBackup",
    "StoredObject",
    "Taken",
    "check_place",
    "judged_place",
    "read_place",
    "restore_backup",
    "take_backup",
]
