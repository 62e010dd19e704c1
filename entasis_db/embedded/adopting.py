"""Making the data folder of a cluster of a backup."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from entasis_db.embedded.files import remove_tree, sync_folder
from entasis_db.embedded.home import STAGING, SUPERUSER, Home
from entasis_db.embedded.process import last_lines, spawn
from entasis_db.embedded.service_user import run_as
from entasis_db.errors import EmbeddedServerError

# nothing of the password may reach a log, whatever the settings of the backup's server were
_QUIET = {
    "archive_mode": "off",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "logging_collector": "off",
}


def adopt(home: Home, bindir: Path, restore: Callable[[Path], None]) -> Path | None:
    """Have the data made under another name, and rename it when it can be used. Needs the lock.

    ``restore`` makes the data folder that it is given. Answers where the data is that was there.
    """
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=home.folder))
    try:
        if run_as() is not None:
            staging.chmod(0o711)
        data = staging / "data"
        restore(data)
        for name in ("postgresql.conf", "pg_hba.conf"):
            if not (data / name).exists():
                raise EmbeddedServerError(
                    f"This backup has no {name}: its server kept it elsewhere, and was no embedded "
                    "one. Restore it into a folder of its own (--into)."
                )
        if (home.folder / "password").exists():
            password = home.password()
        else:
            password = secrets.token_urlsafe(32)
        _set_password(data, bindir, password)
        home.write_password(password)
        former = _set_aside(home)
        data.rename(home.data)
        sync_folder(home.folder)
    finally:
        remove_tree(staging)
    return former


def _set_aside(home: Home) -> Path | None:
    if not home.data.exists():
        return None
    former = home.folder / f"data-until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    home.data.rename(former)
    return former


def _set_password(data: Path, bindir: Path, password: str) -> None:
    """Give the superuser the password of this cluster, before anybody can connect."""
    command = [str(bindir / "postgres"), "--single", "-D", str(data)]
    for name, value in _QUIET.items():
        command += ["-c", f"{name}={value}"]
    quoted = password.replace("'", "''")
    with spawn(
        [*command, "postgres"],
        run_as(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        said, _ = process.communicate(f"ALTER ROLE {SUPERUSER} LOGIN PASSWORD '{quoted}'\n")
    if process.returncode != 0 or "ERROR:" in said or "FATAL:" in said:
        raise EmbeddedServerError(
            "The server of the backup could not be given the password of this one. It says:\n"
            + last_lines(said).replace(password, "***")
        )
