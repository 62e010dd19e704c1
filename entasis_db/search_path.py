"""Names mean PostgreSQL's own objects, whoever may create others in a schema of the search path.

Statements that run on a caller's session say the schema of every name, of operators too
(tests/unit/test_sql_names.py): such a session keeps its own path. Sessions of our own pin it.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import PyFormat, Transformer

from entasis_db.direct import is_direct

PIN = "SET search_path = pg_catalog, pg_temp"


def pin(connection: psycopg.Connection[Any]) -> None:
    """Pin the search path of a new session of ours, before anything else is asked of it.

    Not behind a pooler, which would hand the setting on to others.
    """
    if is_direct(connection):
        connection.execute(PIN)


def untyped(value: object) -> object:
    """Return a value whose literal takes its type from where it stands.

    psycopg would write ``'2024-01-01'::timestamptz``, which names the type without its schema.
    """
    match value:
        case datetime():
            return value.isoformat()
        case UUID():
            return str(value)
        case timedelta():
            # with a sign of its own: after a negative field, SQL's style takes others for negative
            return f"{value.days} days +{value.seconds}.{value.microseconds:06d} seconds"
        case list():
            plain = [untyped(one) if isinstance(one, timedelta) else one for one in value]
            return str(
                bytes(Transformer().get_dumper(plain, PyFormat.TEXT).dump(plain) or b""), "utf8"
            )
    return value
