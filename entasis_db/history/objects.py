"""The archive's objects, read where they are: of each, its footer and the row groups that count."""

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from entasis_db.archive import layout
from entasis_db.errors import HistoryError
from entasis_db.extras import extra
from entasis_db.history.ranges import ArchiveObject, HistoryRange
from entasis_db.store import Store

with extra("archive"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq


class _Remote(io.RawIOBase):
    """An object of a store as a file that is read in parts."""

    def __init__(self, store: Store, item: ArchiveObject) -> None:
        self._store = store
        self._item = item
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._item.bytes}
        self._at = begin[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = self._item.bytes - self._at
        length = left if size < 0 else min(size, left)
        if length <= 0:
            return b""
        content = self._store.part(self._item.key, self._at, length)
        self._at += len(content)
        return content


def store_of(stores: Sequence[Store], relation: str, one: HistoryRange) -> Store:
    """Choose the store of an archive: the one at its location, or the first, which has a copy.

    Raises HistoryError when there is none.
    """
    if not stores:
        raise HistoryError(
            f"{relation} from {one.from_time} to {one.to_time} is in the archive at"
            f" {one.location}: give that store"
        )
    return next((store for store in stores if store.location == one.location), stores[0])


def tables(
    store: Store, relation: str, one: HistoryRange, where: Mapping[str, object]
) -> Iterator[Any]:
    """Yield the rows of an archive that are asked for, a row group at a time, in its order.

    ``where`` has a value for each column that must equal it. Raises StoreError when the store
    fails, and HistoryError for an object that is not the manifest's.
    """
    form = layout.LAYOUTS[relation]
    for item in one.objects:
        try:
            with pq.ParquetFile(pa.PythonFile(_Remote(store, item), "r"), pre_buffer=True) as file:
                if not _is_it(file, form, one, item):
                    raise HistoryError(
                        f"{store.location}/{item.key} is not what the manifest says: look for"
                        " another copy of it"
                    )
                for number in range(file.num_row_groups):
                    bounds = (one.from_time, one.to_time)
                    if _may_hold(file.metadata.row_group(number), form, where, bounds):
                        found = file.read_row_group(number)
                        found = layout.between(form, found, *bounds)
                        for name, value in where.items():
                            wanted = pa.scalar(value, form.columns[name])
                            found = found.filter(pc.equal(found.column(name), wanted))
                        if found.num_rows:
                            yield found
        except (pa.ArrowException, OSError) as error:
            raise HistoryError(f"{store.location}/{item.key} cannot be read: {error}") from error


def _is_it(file: Any, form: layout.Layout, one: HistoryRange, item: ArchiveObject) -> bool:
    about = file.metadata.metadata or {}
    return bool(
        file.metadata.num_rows == item.rows
        and file.schema_arrow.equals(form.schema)
        and about.get(b"entasis.version") == (one.version or "").encode()
    )


def _may_hold(
    group: Any,
    form: layout.Layout,
    where: Mapping[str, object],
    bounds: tuple[datetime, datetime],
) -> bool:
    """Say by its statistics whether a row group may hold a row that is asked for."""
    for number, name in enumerate(form.columns):
        value = where.get(name)
        if name != form.time and not isinstance(value, str | datetime):
            continue
        seen = group.column(number).statistics
        if seen is None or not seen.has_min_max:
            continue
        if name == form.time and (seen.max < bounds[0] or seen.min >= bounds[1]):
            return False
        if name != form.time and not seen.min <= value <= seen.max:
            return False
    return True
