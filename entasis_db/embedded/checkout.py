"""Which cluster belongs to a checkout, and where it lives."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from entasis_db.embedded import service_user
from entasis_db.embedded.binaries import usable_binaries
from entasis_db.embedded.cluster import Cluster
from entasis_db.embedded.errors import NO_WINDOWS, plain_errors
from entasis_db.embedded.files import own_folder
from entasis_db.errors import EmbeddedServerError


def embedded_cluster(checkout: Path | None = None) -> Cluster:
    """Answer the one server of a checkout, not yet started.

    Without an argument it is the checkout around the working folder: the nearest folder upwards
    with ``.entasis`` or ``.git`` in it, else the working folder itself.

    For an ordinary user the cluster lives in ``<checkout>/.entasis``. For root it lives in
    ``/var/lib/entasis-db``, together with a copy of the binaries, where a service user can reach
    both; a checkout that is used by root and by somebody else has two servers.

    Raises:
        EmbeddedServerError: the extra ``embedded`` is not installed, the platform is Windows, or
            the folder of the cluster cannot be used.
    """
    if sys.platform == "win32":
        raise EmbeddedServerError(NO_WINDOWS)
    with plain_errors("prepare"):
        bindir = usable_binaries()
        folder = _checkout(checkout)
        home = _home_of(folder)
        if service_user.run_as() is None:
            own_folder(home, 0o700)
            ignore = home / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            return Cluster(bindir, home)
        own_folder(home, 0o711)
        named = home / "checkout"
        if not named.exists():
            named.write_bytes(os.fsencode(folder) + b"\n")
        return Cluster(bindir, home)


def embedded_home(checkout: Path | None = None) -> Path:
    """Answer where the cluster of a checkout lives, whether there is one or not.

    Raises:
        EmbeddedServerError: the platform is Windows, or the working folder is gone.
    """
    if sys.platform == "win32":
        raise EmbeddedServerError(NO_WINDOWS)
    with plain_errors("find"):
        return _home_of(_checkout(checkout)).resolve()


def _home_of(folder: Path) -> Path:
    if os.geteuid() != 0:
        return folder / ".entasis"
    return service_user.SERVICE_ROOT / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _checkout(given: Path | None) -> Path:
    return (_around(Path.cwd()) if given is None else given).resolve()


def _around(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        for mark in (".entasis", ".git"):
            try:
                # A folder like /tmp may hold anybody's. Root puts nothing into the checkout.
                if os.geteuid() in (0, (candidate / mark).stat().st_uid):
                    return candidate
            except OSError:  # not there, or not to be seen
                continue
    return folder
