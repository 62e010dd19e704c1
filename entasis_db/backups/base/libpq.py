"""The way of a connection, for a program of PostgreSQL's: with secrets where nobody sees them."""

import os
from pathlib import Path
from typing import Any

import psycopg

from entasis_db.errors import BackupError

# what chose among several hosts, and what is no parameter of a service
_CHOSEN = {
    "dbname",
    "host",
    "hostaddr",
    "load_balance_hosts",
    "passfile",
    "port",
    "service",
    "servicefile",
    "target_session_attrs",
}


def service(connection: psycopg.Connection[Any], folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write where a connection leads into a file that only the caller reads.

    Returns the arguments and the environment for a program. The password stands in the
    environment, which other users of the machine cannot read either, and nothing of it in an
    argument.
    """
    info = connection.info
    lines = {k: v for k, v in info.get_parameters().items() if k not in _CHOSEN}
    lines |= {"host": info.host, "port": str(info.port)}
    if "hostaddr" in info.get_parameters():
        lines["hostaddr"] = info.hostaddr
    lines["application_name"] = "entasis backup"
    if any("\n" in value or value != value.strip() for value in lines.values()):
        raise BackupError(
            "a parameter of the connection begins or ends with a blank, or has a line break in it:"
            " it cannot be handed on to pg_basebackup"
        )
    file = folder / "service"
    text = "[entasis]\n" + "".join(f"{name}={value}\n" for name, value in lines.items())
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as sink:
        sink.write(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = {**kept, "PGSERVICEFILE": str(file)}
    if info.password:
        environment["PGPASSWORD"] = info.password
    return ["--dbname=service=entasis", "--no-password"], environment
