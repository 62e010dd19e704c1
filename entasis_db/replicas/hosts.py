"""The servers that a connection string of several hosts names, one by one."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_MISUNDERSTOOD = (
    "the connection string cannot be understood: write postgresql://user@host:port,host:port/name, "
    "with every special character of a password encoded"
)
_CHOOSING = ("host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts")


def hosts_of(conninfo: str) -> dict[str, str]:
    """Return a connection string for each server, by its name: host and port.

    Raises ValueError for one that cannot be understood, without its text.
    """
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(conninfo))
    except (psycopg.ProgrammingError, UnicodeError):
        raise ValueError(_MISUNDERSTOOD) from None
    # a password with an @, : or / in it that is not encoded shifts what comes after it
    names = f"{parts.get('host', '')}{parts.get('dbname', '') if '://' in conninfo else ''}"
    ports = str(parts.get("port") or "").split(",")
    if "@" in names or not all(port.strip().isdecimal() for port in ports if port):
        raise ValueError(_MISUNDERSTOOD)
    lists = {key: str(parts.get(key) or "").split(",") for key in _CHOOSING[:3]}
    count = max(map(len, lists.values()))
    columns = {}
    for key, values in lists.items():
        if len(values) == 1 and (key == "port" or not values[0]):
            values = values * count
        if len(values) != count:
            raise ValueError(f"{count} servers are named, and {len(values)} values of {key}")
        columns[key] = values
    rest = {key: value for key, value in parts.items() if key not in _CHOOSING}
    if psycopg.pq.version() >= 16_00_00:
        # of a name that has several addresses
        rest["load_balance_hosts"] = parts.get("load_balance_hosts") or "random"
    found = {}
    for host, hostaddr, port in zip(*columns.values(), strict=True):
        own = {"host": host, "hostaddr": hostaddr, "port": port}
        name = f"{host or hostaddr or 'localhost'}:{port or 5432}"
        found[name] = make_conninfo("", **rest, **{k: v for k, v in own.items() if v})
    return found
