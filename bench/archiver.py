"""One archive or restore of all trades, as a program: a process of its own, whose memory is known.

It imports nothing of the bench, which is larger than a client needs to be.
"""

import json
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg

from entasis_db.archive import archive, open_store, restore
from entasis_db.archive.export import Archived
from entasis_db.archive.restore import Restored

_FIRST = datetime(2009, 1, 1, tzinfo=UTC)
_KIBIBYTE = 1024


def main(what: str, url: str) -> None:
    """Archive or restore all trades of ENTASIS_BENCH_DSN, and print what it took as JSON."""
    store = open_store(url)
    with psycopg.connect(os.environ["ENTASIS_BENCH_DSN"], autocommit=True) as connection:
        began = perf_counter()
        done: list[Archived] | list[Restored]
        if what == "archive":
            done = archive(connection, store)
        else:
            done = restore(connection, store, "market_data", _FIRST, datetime.now(UTC), attach=True)
        seconds = perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": _peak(), "rows": sum(d.rows for d in done)}))


def _peak() -> float:
    """Return the most memory that this program has held, in MiB."""
    try:
        # Linux hands ru_maxrss on to whatever a process starts, and the bench itself is larger
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / _KIBIBYTE
    except OSError:
        # in bytes on macOS
        unit = _KIBIBYTE**2 if sys.platform == "darwin" else _KIBIBYTE
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(*sys.argv[1:])
