"""The files of backup/pgbackrest, with the paths, the port and the secrets of a rig put in."""

import re
from collections.abc import Mapping
from pathlib import Path

BACKUP = Path(__file__).resolve().parents[2] / "backup"

SETTINGS = {
    # A rig is thrown away: nothing in it has to survive a crash of the machine.
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "40",
    "log_line_prefix": "'%m [%p] '",
}


def with_options(text: str, options: Mapping[str, str]) -> str:
    """Set options of a configuration: in place, uncommented if need be, else in [global]."""
    for name, value in options.items():
        line = re.compile(rf"^#?{re.escape(name)}=.*$", re.MULTILINE)
        shown = f"{name}={value}".replace("\\", "\\\\")
        text, found = line.subn(shown, text)
        if not found:
            text = re.sub(r"^\[global\]$", rf"[global]\n{shown}", text, count=1, flags=re.MULTILINE)
    return text


def pgbackrest_conf(options: Mapping[str, str]) -> str:
    """Return pgbackrest.conf with options of a rig."""
    text = (BACKUP / "pgbackrest" / "pgbackrest.conf").read_text(encoding="utf-8")
    return with_options(text, options)


def secrets_conf(options: Mapping[str, str]) -> str:
    """Return conf.d/secrets.conf with passphrases and keys."""
    text = (BACKUP / "pgbackrest" / "secrets.conf.example").read_text(encoding="utf-8")
    return with_options(text, options)


def without_repo2(text: str) -> str:
    """Leave repo2 out of a configuration."""
    return re.sub(r"^#?repo2-.*\n", "", text, flags=re.MULTILINE)


def postgresql_conf() -> str:
    """Return what the server needs for pgBackRest."""
    return (BACKUP / "pgbackrest" / "postgresql.conf").read_text(encoding="utf-8")
