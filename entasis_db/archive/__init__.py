"""The archive: history as Parquet in an S3-compatible store or a folder, and the way back.

Written, read back, verified and recorded in ``entasis.archives``; only then may a partition of an
archived relation be dropped. Needs ``pip install 'entasis-db[archive]'``.
"""

from entasis_db.archive.export import Archived, archive
from entasis_db.archive.progress import Event, Progress
from entasis_db.archive.published import Published, publish
from entasis_db.archive.restore import Restored, restore
from entasis_db.store import FolderStore, S3Store, Store, open_store

__all__ = [
    "Archived",
    "Event",
    "FolderStore",
    "Progress",
    "Published",
    "Restored",
    "S3Store",
    "Store",
    "archive",
    "open_store",
    "publish",
    "restore",
]
