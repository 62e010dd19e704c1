"""The archive as tables of an Iceberg catalog, for DuckDB, Spark, Trino and whoever reads those.

No file is rewritten: a table names the objects of the archive where they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import psycopg

from entasis_db.archive import layout
from entasis_db.cursors import execute
from entasis_db.errors import ArchiveError
from entasis_db.extras import extra

NAMESPACE = "entasis"

_OBJECTS = (
    "SELECT h.location, o.key, o.rows"
    " FROM entasis_internal.history_ranges(%s, NULL, NULL, '-infinity', 'infinity') AS h"
    " CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(h.objects)"
    " AS o (key pg_catalog.text, rows pg_catalog.int8)"
    " WHERE h.source OPERATOR(pg_catalog.=) 'archive'"
)
_PROPERTIES = {
    # nobody who tidies up a table deletes an object of the archive: it may be the only copy
    "gc.enabled": "false",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
}


@dataclass(frozen=True)
class Published:
    """A table of the catalog, which names what the manifest does."""

    table: str
    """Its name, with its namespace."""
    objects: int
    """How many objects it names."""
    rows: int
    """How many rows are in them."""
    added: int
    """How many of the objects are new in it."""
    removed: int
    """How many objects it names no more."""


def publish(
    connection: psycopg.Connection[Any], catalog: Any, namespace: str = NAMESPACE
) -> list[Published]:
    """Have a catalog name what only the archive has: the current version of each dropped range.

    ``catalog`` is one of PyIceberg's, as ``pyiceberg.catalog.load_catalog()`` gives it, or the name
    of one that PyIceberg is configured for. ``connection`` belongs to a member of entasis_reader.
    There is one table for each relation that has such ranges, ``namespace.market_data`` and so on,
    in the columns of the Parquet. All of a relation changes at once. Repeat it after each
    maintenance and reopening: what is the same already is left alone.

    Raises ArchiveError when the catalog refuses, or an object is not what the manifest says.
    """
    with extra("iceberg"):
        from pyiceberg.catalog import load_catalog
        from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, RESTError

    found = []
    try:
        catalog = load_catalog(catalog) if isinstance(catalog, str) else catalog
        catalog.create_namespace_if_not_exists(namespace)
        for relation in layout.LAYOUTS:
            wanted = dict(_wanted(connection, relation))
            name = f"{namespace}.{relation}"
            try:
                table = catalog.load_table(name)
            except NoSuchTableError:
                if not wanted:
                    continue
                table = _table(catalog, name, relation, next(iter(wanted)))
            found.append(_brought_in_line(table, name, wanted))
    except CommitFailedException as error:
        raise ArchiveError(
            f"somebody else changed a table of the catalog meanwhile: run it again ({error})"
        ) from error
    except (ValueError, OSError, RESTError) as error:
        raise ArchiveError(f"the catalog could not be brought in line: {error}") from error
    return found


def _wanted(connection: psycopg.Connection[Any], relation: str) -> Iterator[tuple[str, int]]:
    """Yield the objects that count, each with how many rows it has."""
    for location, key, rows in execute(connection, _OBJECTS, relation):
        # readers take a path as it is
        start = unquote(location) if location.startswith("file:") else location
        yield f"{start}/{key}", rows


def _table(catalog: Any, name: str, relation: str, an_object: str) -> Any:
    """Make a table: where the catalog has its tables, or else beside the archive."""
    with extra("iceberg"):
        from pyiceberg.catalog.rest import RestCatalog
    place = None
    if "warehouse" not in catalog.properties and not isinstance(catalog, RestCatalog):
        archive, _, _ = an_object.partition(f"/{relation}/year=")
        place = f"{archive}/iceberg/{name.replace('.', '/')}"
    return catalog.create_table(
        name, layout.LAYOUTS[relation].schema, location=place, properties=_PROPERTIES
    )


def _brought_in_line(table: Any, name: str, wanted: dict[str, int]) -> Published:
    """Have a table name these objects and no others."""
    there = {task.file.file_path: task.file for task in table.scan().plan_files()}
    new = sorted(wanted.keys() - there.keys())
    old = [there[path] for path in sorted(there.keys() - wanted.keys())]
    if new or old:
        with table.transaction() as change:
            if new:
                change.add_files(new, check_duplicate_files=False)
            if old:
                with change.update_snapshot().overwrite() as update:
                    for file in old:
                        update.delete_data_file(file)
        current = table.current_snapshot()
        past = [one.snapshot_id for one in table.snapshots() if one != current]
        if past:
            table.maintenance.expire_snapshots().by_ids(past).commit()
        counts = {t.file.file_path: t.file.record_count for t in table.scan().plan_files()}
        if counts != wanted:
            raise ArchiveError(f"{name} does not name what the manifest does: publish it again")
    return Published(name, len(wanted), sum(wanted.values()), len(new), len(old))
