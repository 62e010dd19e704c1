"""Which cluster belongs to a checkout, and where it lives."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from entasis_db.embedded import service_user
from entasis_db.embedded.binaries import usable_binaries
from entasis_db.embedded.cluster import Cluster
from entasis_db.embedded.errors import NO_WINDOWS, plain_errors
from entasis_db.embedded.files import own_folder
from entasis_db.embedded.home import Home
from entasis_db.errors import EmbeddedServerError
from entasis_db.resources import sql_root

HOME_VARIABLE = "ENTASIS_EMBEDDED_HOME"
"""What names another folder for the cluster."""


def embedded_cluster(checkout: Path | None = None) -> Cluster:
    """Answer the one server of a checkout, not yet started; its folder is made.

    Without an argument it is where ``embedded_home()`` says.

    Raises:
        EmbeddedServerError: the extra ``embedded`` is not installed, the platform is Windows, or
            the folder of the cluster cannot be used.
    """
    if sys.platform == "win32":
        raise EmbeddedServerError(NO_WINDOWS)
    with plain_errors("prepare"):
        bindir = usable_binaries()
        owner, home = _place(checkout)
        if service_user.run_as() is None:
            own_folder(home, 0o700)
            ignore = home / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            return Cluster(bindir, home)
        own_folder(home, 0o711)
        named = home / "checkout"
        if not named.exists():
            named.write_bytes(os.fsencode(owner) + b"\n")
        return Cluster(bindir, home)


def embedded_home(checkout: Path | None = None) -> Path:
    """Answer where the cluster of a checkout lives, whether there is one or not.

    It does not depend on the working folder. Without an argument it is, in this order: the folder
    that ``ENTASIS_EMBEDDED_HOME`` names; that of the checkout which this package is run from, if
    the caller owns it; that of the user, for a package that was installed from a wheel.

    The cluster of a checkout lives in ``<checkout>/.entasis``, that of a user in
    ``$XDG_DATA_HOME/entasis-db`` (``~/.local/share/entasis-db``). For root both live in
    ``/var/lib/entasis-db``, together with a copy of the binaries, where a service user can reach
    them; a checkout that is used by root and by somebody else has two servers.

    Raises:
        EmbeddedServerError: the platform is Windows, or ENTASIS_EMBEDDED_HOME is no absolute path.
    """
    if sys.platform == "win32":
        raise EmbeddedServerError(NO_WINDOWS)
    with plain_errors("find"):
        return _place(checkout).home.resolve()


def has_cluster(home: Path) -> bool:
    """Say whether a cluster has been made in a folder; nothing is changed.

    Raises:
        EmbeddedServerError: the caller may not look into the folder.
    """
    with plain_errors("look at"):
        return Home(home).version() is not None


def former_home() -> Path | None:
    """Answer the cluster that earlier drafts made for the working folder, if it is another one.

    They took the nearest folder upwards with ``.entasis`` or ``.git`` in it for the checkout, and
    without one the working folder.
    """
    if sys.platform == "win32":
        return None
    try:
        home = _of_checkout(_around(Path.cwd()).resolve()).home.resolve()
        return home if home != embedded_home() and has_cluster(home) else None
    except (OSError, EmbeddedServerError):
        return None  # the working folder is gone, or is not to be seen


class _Place(NamedTuple):
    owner: Path
    """What the cluster belongs to: a checkout, or the folder of a user."""
    home: Path
    """The folder of the cluster."""


def _of_checkout(folder: Path) -> _Place:
    return _Place(folder, folder / ".entasis" if os.geteuid() != 0 else _of_root(folder))


def _of_root(owner: Path) -> Path:
    return service_user.SERVICE_ROOT / hashlib.sha256(os.fsencode(owner)).hexdigest()[:16]


def _place(checkout: Path | None) -> _Place:
    if checkout is not None:
        return _of_checkout(checkout.resolve())
    named = _named()
    if named is not None:
        return _Place(named, named)
    root = sql_root()
    # in a wheel, the SQL lies in the package
    if (root / "pyproject.toml").is_file() and os.geteuid() in (0, root.stat().st_uid):
        return _of_checkout(root)
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    folder = (data if data.is_absolute() else Path("~/.local/share").expanduser()) / "entasis-db"
    return _Place(folder, folder if os.geteuid() != 0 else _of_root(folder))


def _named() -> Path | None:
    named = os.environ.get(HOME_VARIABLE)
    if not named:
        return None
    if not Path(named).is_absolute():
        raise EmbeddedServerError(f"{HOME_VARIABLE} is {named!r}: write the whole path, from / on")
    return Path(named)


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
