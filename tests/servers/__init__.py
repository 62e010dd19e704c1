"""The servers that the suite runs on: which there are, and where they come from.

``make test`` runs the contract on every one of them. A server is one of
- a cluster of our own, made for this run, of Debian's PostgreSQL 15 and of the embedded wheel's 18
  (cluster.py);
- a server given by its DSN in ENTASIS_TEST_DSN_<ENGINE>, which must be a superuser's, because the
  suite makes databases and logins there and takes them away again (given.py);
- for engine timescaledb, where there is none of these: a container, where Docker answers
  (container.py), else TimescaleDB as WebAssembly, where there is Node.js (webassembly.py).
"""

import os
from functools import cache

from entasis_db.resources import engines
from tests.engines import Source
from tests.servers import citus, cluster, container, given, webassembly


@cache
def sources() -> tuple[Source, ...]:
    """List the servers of this machine, in the order in which the suite uses them."""
    found = [*cluster.found(), *citus.found(), *citus.in_containers(), *given.found()]
    if "timescaledb" in engines() and not any(s.engine == "timescaledb" for s in found):
        found.extend(container.found() or webassembly.found())
    only = os.environ.get("ENTASIS_TEST_ONLY")
    return tuple(s for s in found if only is None or s.name in only.split(","))
