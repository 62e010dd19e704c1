"""The way to a database for a program of PostgreSQL's, with secrets where nobody sees them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from entasis_db.errors import EntasisError

SECRETS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
"""Parameters of a connection that nobody may see."""

_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
# what chose this server among several, and what is no matter of a program's
_CHOSEN = ("dbname", "load_balance_hosts", "passfile", "service", "target_session_attrs")


@contextmanager
def libpq(dsn: str) -> Iterator[tuple[dict[str, str], str]]:
    """Lend an environment and a connection string for a program, which has no secret in it.

    Other users of the machine can read a program's arguments, and not its environment. Secrets that
    have no variable there stand in a file that only the caller reads.

    Raises EntasisError when they cannot be handed on in this way.
    """
    parts = {k: str(v) for k, v in conninfo_to_dict(dsn).items() if v is not None}
    variables = {name: parts.pop(key) for key, name in _VARIABLES.items() if key in parts}
    environment = {**os.environ, **variables}
    secrets = {name: parts.pop(name) for name in SECRETS if name in parts}
    if not secrets:
        yield environment, make_conninfo("", **parts)
        return
    if "service" in parts or any("\n" in v or v != v.strip() for v in secrets.values()):
        raise EntasisError(
            f"{' and '.join(secrets)} cannot be told to a program of PostgreSQL's where nobody sees"
            " it: write it into the file of a service (pg_service.conf), and name that one alone"
        )
    with tempfile.TemporaryDirectory(prefix="entasis-") as folder:  # the caller's alone
        file = Path(folder) / "service"
        lines = [f"{name}={value}\n" for name, value in secrets.items()]
        file.write_text("".join(["[entasis]\n", *lines]), encoding="utf-8")
        environment["PGSERVICEFILE"] = str(file)
        yield environment, make_conninfo("", **parts, service="entasis")


def dsn_of(connection: psycopg.Connection[Any]) -> str:
    """Return a connection string, with its secrets, to the very server of a connection."""
    info = connection.info
    parts = {k: v for k, v in info.get_parameters().items() if k not in _CHOSEN}
    parts |= {"host": info.host, "port": str(info.port)}
    if "hostaddr" in parts:
        parts["hostaddr"] = info.hostaddr
    if info.password:
        parts["password"] = info.password
    return make_conninfo("", **parts)
