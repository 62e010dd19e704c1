"""The user who runs the server when root calls, since PostgreSQL does not run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from entasis_db.embedded import process
from entasis_db.embedded.errors import plain_errors
from entasis_db.embedded.process import ServiceUser
from entasis_db.errors import EmbeddedServerError

if sys.platform != "win32":
    import pwd

SERVICE_USERS = ("postgres", "entasis-db")
"""Who runs the server when root calls: the first of these that exists."""

SERVICE_ROOT = Path("/var/lib/entasis-db")
"""Where the servers of root live: ``bin/<version>/`` and one folder for each checkout."""

_FIRST_CLOSED = 'for path do [ -x "$path" ] || { printf %s "$path"; exit 1; }; done'


def run_as() -> ServiceUser | None:
    """Answer the user who runs the server: name, uid and gid, or None for the caller himself.

    It is None unless root calls. For root it is the first of ``postgres`` and ``entasis-db`` that
    exists; if neither does, the system user ``entasis-db`` is created.

    Raises:
        EmbeddedServerError: root calls, and there is no such user and none can be created.
    """
    if os.geteuid() != 0:
        return None
    found = _existing_user()
    if found is not None:
        return found
    name = SERVICE_USERS[-1]
    said = "there is no useradd here"
    # sbin is not on everybody's PATH
    useradd = shutil.which("useradd") or shutil.which("useradd", path="/usr/sbin:/sbin")
    if useradd is not None:
        with plain_errors("create a user for"):
            made = process.run(
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
            )
        said = made.stderr.strip() or f"useradd ended with {made.returncode}"
        # asked even after a failure: another process may have created it in the meantime
        found = _existing_user()
    if found is None:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and no user could be created to run it "
            f"({said}). Create a system user named {name}, or call as an ordinary user, "
            "or set DATABASE_URL."
        )
    return found


def _existing_user() -> ServiceUser | None:
    for name in SERVICE_USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:  # a second name for root would defeat the purpose
                return ServiceUser(name, entry.pw_uid, entry.pw_gid)
    return None


def check_reach(home: Path, bindir: Path) -> None:
    """Check that the binaries are there and that the service user can reach all it needs.

    The error names the folder; what the binaries themselves would say does not.
    """
    binaries = [bindir / "initdb", bindir / "postgres"]
    for path in binaries:
        if not path.is_file():
            raise EmbeddedServerError(
                f"{path} is missing: {bindir} does not hold the binaries of a server."
            )
    user = run_as()
    if user is None:
        return
    paths = [*reversed(home.parents), home]
    paths += [*reversed(bindir.parents), bindir, *binaries]
    found = process.run(["/bin/sh", "-c", _FIRST_CLOSED, "sh", *map(str, paths)], user)
    if found.returncode != 0:
        raise EmbeddedServerError(
            f"The service user {user.name} cannot enter {found.stdout or home}. "
            "Choose a place which every user can reach, or set DATABASE_URL."
        )
