"""Whether the next full backup fits into a repository on a disk of this machine."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from entasis_db.backups.findings import Finding
from entasis_db.backups.pgbackrest import PgBackRest, Repository

_DEFAULT = Path("/etc/pgbackrest")
_OPTION = re.compile(r"^repo(\d*)-(path|type|host)\s*=\s*(\S+)", re.MULTILINE)


def judge_space(program: PgBackRest, repository: Repository) -> Iterator[Finding]:
    """Find a disk that is nearly full. Nothing is said of what cannot be seen from here."""
    fulls = [one.stored for one in repository.backups if one.kind == "full"]
    free = _free(program, repository.key) if fulls else None
    if free is not None and free < fulls[-1]:
        yield Finding(
            "space",
            f"{free:,} bytes are free, and the last full backup took {fulls[-1]:,}",
            f"Make room, or keep fewer backups (repo{repository.key}-retention-full), before the"
            " next one fails and WAL stays on the server",
            repository.key,
        )


def _free(program: PgBackRest, key: int) -> int | None:
    if not program.is_local:
        return None
    options = {}
    with suppress(OSError, UnicodeError):
        text = _configuration(program).read_text(encoding="utf-8")
        options = {
            what: value for number, what, value in _OPTION.findall(text) if int(number or 1) == key
        }
    if options.get("type", "posix") != "posix" or "host" in options or "path" not in options:
        return None
    with suppress(OSError):
        return shutil.disk_usage(options["path"]).free
    return None


def _configuration(program: PgBackRest) -> Path:
    named = program.config or os.environ.get("PGBACKREST_CONFIG")
    if named is None:
        named = os.environ.get("PGBACKREST_CONFIG_PATH", _DEFAULT)
    path = Path(named)
    return path / "pgbackrest.conf" if path.is_dir() else path
