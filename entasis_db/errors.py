"""The errors of the package: each says what happened and what to do next."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from entasis_db.model import OptionQuote, Trade

if TYPE_CHECKING:
    from entasis_db.live.unreadable import Unreadable


class EntasisError(Exception):
    """Base of every error that Entasis DB raises on purpose.

    Its text is complete: it can be shown to a person as it is. It never holds a password or a
    connection string.
    """


class EmbeddedServerError(EntasisError):
    """The embedded PostgreSQL server could not be started, stopped or reached."""


class MigrationError(EntasisError):
    """A database could not be brought to this release, or is not what this release expects."""


class DraftError(MigrationError):
    """A database was made by another draft of a release: some migrations had another text then."""


class LoadError(EntasisError):
    """A file could not be read to its end. What was read before the fault is kept."""


class IdSpaceError(EntasisError):
    """Trades number themselves differently from those that the market already has."""


class InstrumentError(EntasisError):
    """A market has no such property, or it cannot have such a value."""


class QueryError(EntasisError):
    """A named query was asked for something that does not exist."""


class IdentityError(EntasisError):
    """A session cannot act for a user."""


class SessionError(EntasisError):
    """A connection leads through a pooler or to a replica, where what is asked cannot work."""


class NoWritesError(SessionError, psycopg.errors.ReadOnlySqlTransaction):
    """A server that takes no writes, a replica, was told to write."""


class NoServerError(EntasisError, psycopg.OperationalError):
    """None of several servers answers a read, or takes a write."""


class StaleReadError(EntasisError):
    """No server is known to be as current as a read asked for."""


class ArchiveError(EntasisError):
    """A range could not be archived, or not be restored. What is in the database stays there."""


class StoreError(ArchiveError):
    """A store of archives or backups refused, cannot be reached, or gave back other bytes."""


class HistoryError(ArchiveError):
    """A range of the archive could not be read where it is."""


class BackupError(EntasisError):
    """Backups could not be taken, restored or looked at, or are not as they should be."""


class CopyError(EntasisError):
    """A database could not be dumped or not be restored from a dump, or the dump is not whole."""


class WriterError(EntasisError):
    """A live writer takes no more rows."""


class NotWrittenError(WriterError):
    """A live writer ended before all that it had accepted was stored.

    The rows come back here, in the order in which they were accepted. The server may have stored
    some of them before it could say so: writing them again changes nothing then.
    """

    def __init__(self, message: str, rows: "Sequence[Trade | OptionQuote | Unreadable]") -> None:
        super().__init__(message)
        self.rows = rows
