"""What is archived, as the database has it on record; needs none of the archive's libraries."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from entasis_db.cursors import Cursor


@dataclass(frozen=True)
class ArchivedRange:
    """The archive of a range that counts, or one whose making was begun."""

    relation: str
    """Relation of schema entasis."""
    from_time: datetime
    """First moment of the range, included; UTC."""
    to_time: datetime
    """First moment after it; UTC."""
    rows: int | None
    """None when it is not verified."""
    bytes: int | None
    """Size of its objects in the store; None when it has none on record."""
    objects: int
    """How many objects it has in the store."""
    verified_at: datetime | None
    """When it was found to hold exactly the rows of the range; UTC. None: begin it anew."""
    dropped_at: datetime | None
    """When the range was last dropped from the database; UTC. None: it was not."""
    stale_at: datetime | None
    """When the rows of the range were found to be others; UTC. None: they were not."""
    location: str = field(kw_only=True)
    """URL of the store that it was written to, without options."""


def archived_ranges(connection: psycopg.Connection[Any]) -> list[ArchivedRange]:
    """Return every archive that none has superseded, by relation and time.

    ``connection`` belongs to a member of entasis_admin. Raises psycopg.Error when the server
    refuses.
    """
    with Cursor(connection) as cursor:
        cursor.execute(
            """
            SELECT
                a.relation, a.from_time, a.to_time,
                CASE WHEN a.verified_at IS NOT NULL THEN a.row_count END,
                pg_catalog.sum(o.bytes), pg_catalog.count(o.key),
                a.location, a.verified_at, a.dropped_at, a.stale_at
            FROM entasis.archives AS a
            LEFT OUTER JOIN entasis.archive_objects AS o ON a.id OPERATOR(pg_catalog.=) o.archive_id
            WHERE a.superseded_at IS NULL
            GROUP BY a.id
            ORDER BY a.relation, a.from_time, a.id
            """
        )
        return [
            ArchivedRange(
                relation,
                start.astimezone(UTC),
                end.astimezone(UTC),
                rows,
                None if size is None else int(size),
                objects,
                *(None if moment is None else moment.astimezone(UTC) for moment in moments),
                location=location,
            )
            for relation, start, end, rows, size, objects, location, *moments in cursor
        ]


def has_archived_relations(connection: psycopg.Connection[Any]) -> bool:
    """Say whether any relation is marked as archived in entasis.keep_periods."""
    with Cursor(connection) as cursor:
        cursor.execute(
            "SELECT FROM entasis.keep_periods AS k"
            " INNER JOIN entasis.floors AS f ON k.relation OPERATOR(pg_catalog.=) f.relation"
            " WHERE k.archived LIMIT 1"
        )
        return cursor.fetchone() is not None
