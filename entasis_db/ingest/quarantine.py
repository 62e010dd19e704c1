"""Rows in quarantine: put there when no staging table can hold them, and read back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from entasis_db.cursors import Cursor
from entasis_db.errors import LoadError


@dataclass(frozen=True)
class Refusal:
    """A row that did not even get as far as the staging table."""

    line: int
    """Line of the file, or position in the batch, from 1."""
    code: str
    """The name of the column or step that the fault lies in."""
    reason: str
    """What is wrong, in words."""
    payload: object
    """Anything that JSON can hold: the raw line, or the row's fields as text."""


QUARANTINE = sql.SQL(
    """
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT %(relation)s::pg_catalog.text, %(source)s::pg_catalog.text, r.line, r.code, r.reason,
        r.payload
    FROM ROWS FROM (
        pg_catalog.unnest(%(lines)s::pg_catalog.int8[]),
        pg_catalog.unnest(%(codes)s::pg_catalog.text[]),
        pg_catalog.unnest(%(reasons)s::pg_catalog.text[]),
        pg_catalog.unnest(%(payloads)s::pg_catalog.jsonb[])
    ) AS r (line, code, reason, payload)
    ON CONFLICT DO NOTHING
    """
)


def quarantine(
    connection: psycopg.Connection[Any],
    relation: str,
    refusals: Iterable[Refusal],
    *,
    source: str,
) -> int:
    """Put rows that could not be read into quarantine, each once; return how many were given."""
    given = list(refusals)
    if given:
        with Cursor(connection) as cursor:
            cursor.execute(QUARANTINE, quarantine_parameters(relation, given, source))
    return len(given)


def quarantine_parameters(
    relation: str, refusals: Sequence[Refusal], source: str
) -> dict[str, object]:
    """Return the parameters of QUARANTINE."""
    return {
        "relation": relation,
        "source": source,
        "lines": [refusal.line for refusal in refusals],
        "codes": [refusal.code for refusal in refusals],
        "reasons": [refusal.reason for refusal in refusals],
        "payloads": [Jsonb(refusal.payload) for refusal in refusals],
    }


def quarantined(
    connection: psycopg.Connection[Any], relation: str, source: str, *, limit: int
) -> list[Refusal]:
    """Return the first rows of a source that are in quarantine, by line, at most ``limit``."""
    with Cursor(connection) as cursor:
        cursor.execute(
            """
            SELECT q.line, q.code, q.reason, q.payload
            FROM entasis.quarantine AS q
            WHERE q.relation OPERATOR(pg_catalog.=) %s AND q.source OPERATOR(pg_catalog.=) %s
            ORDER BY q.line, q.id
            LIMIT %s
            """,
            [relation, source, limit],
        )
        return [Refusal(*row) for row in cursor.fetchall()]


def refuse_more(
    source: str, refused: int, max_refused: int, examples: Sequence[Refusal], safe: str
) -> NoReturn:
    """Raise LoadError because too many rows of a file are refused; ``safe`` says what is stored."""
    first = examples[0]
    raise LoadError(
        f"{source}: {refused} rows so far cannot be stored, as line {first.line}: {first.code}: "
        f"{first.reason}. With more than {max_refused} a file is taken for wrong as a whole, or "
        f"read in a wrong way, so its last batch was not stored ({safe}). Correct it, or let "
        "--max-refused say how many may go to quarantine"
    )
