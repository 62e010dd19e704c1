"""A dump's folder, and what it says of itself."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from entasis_db.copies.content import Content
from entasis_db.copies.roles import Roles
from entasis_db.errors import CopyError

MANIFEST = "manifest.json"
ROLES = "roles.sql"
PG_DUMP = "pg_dump"
ROWS = "rows"
_FORMAT = 1


@dataclass(frozen=True)
class Dumped:
    """What a dump says of itself, taken in the snapshot of its rows."""

    kind: Literal["pg_dump", "portable"]
    """Whether pg_dump made it, for the same engine; or it is portable, for either."""
    taken_at: str
    """When its snapshot was taken, in ISO 8601; UTC."""
    written_at: str
    """When all of it was written."""
    release: str | None
    """The release of Entasis DB that migrated the database last."""
    engine: str
    server: int
    """The major version of PostgreSQL."""
    timescaledb: str | None
    """The version of the extension; None where there is none."""
    program: int | None
    """The major version of the pg_dump that made it; None if it is portable."""
    run: int
    """Its row in entasis.runs."""
    migrations: dict[str, str]
    """The checksum of the text of each."""
    faults: int | None
    """How many faults check_candles() found, if the dump is portable."""
    gone: list[tuple[str, str, str, str]]
    """Relation, name and bounds of each partition that somebody dropped by hand."""
    lost: list[tuple[str, str, str, str]]
    """The same of ranges whose candles engine timescaledb keeps since."""
    columns: dict[str, list[str]]
    """Those of each relation, in the order of the rows' file, if it is portable."""
    roles: Roles
    content: Content
    files: dict[str, tuple[int, str]]
    """Size in bytes and SHA-256 of each file, by its path in the folder."""

    def to_json(self) -> dict[str, Any]:
        """Return what from_json() reads."""
        return {
            **asdict(self),
            "format": _FORMAT,
            "roles": self.roles.to_json(),
            "content": self.content.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Dumped":
        """Read what to_json() has returned."""
        rest = {name: part for name, part in value.items() if name != "format"}
        rest["roles"] = Roles.from_json(rest["roles"])
        rest["content"] = Content.from_json(rest["content"])
        for name in ("gone", "lost"):
            rest[name] = [(a, b, c, d) for a, b, c, d in rest[name]]
        rest["files"] = {name: (size, digest) for name, (size, digest) in rest["files"].items()}
        return cls(**rest)


def new_folder(folder: Path) -> Path:
    """Make the folder of a dump, which only its owner may look into.

    Raises CopyError when it is there and not empty, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CopyError(f"{folder} is not empty: name a new folder for the dump")
    except OSError as error:
        raise CopyError(f"{folder} cannot be written to: {error.strerror}") from error
    return folder


def files(folder: Path) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, _sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, dumped: Dumped) -> None:
    """Write what the dump says of itself, last: a folder without it holds no whole dump."""
    file = folder / f"{MANIFEST}.new"
    file.touch(mode=0o600)
    file.write_text(json.dumps(dumped.to_json(), indent=1), encoding="utf-8")
    file.rename(folder / MANIFEST)


def read_dump(folder: Path) -> Dumped:
    """Read what the dump in a folder says of itself.

    Raises CopyError when there is none, when it did not come to its end, or when it is of another
    release of Entasis DB.
    """
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CopyError(
            f"{folder} has no {MANIFEST}, which a dump writes last: it did not come to its end, or "
            "it is another program's"
        ) from error
    except (OSError, ValueError) as error:
        raise CopyError(f"{folder / MANIFEST} cannot be read: take another dump") from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise CopyError(
            f"{folder / MANIFEST} is of a form that this release does not read: restore it with "
            "the release of entasis-db that took it"
        )
    return Dumped.from_json(value)


def check_files(folder: Path, dumped: Dumped) -> None:
    """Raise CopyError unless every file of a dump is as it was written."""
    for name, (size, digest) in dumped.files.items():
        path = folder / name
        if not path.is_file():
            raise CopyError(f"{path} is missing from the dump: look for another copy of it")
        if path.stat().st_size != size or _sha256(path) != digest:
            raise CopyError(f"{path} is not as it was dumped: look for another copy of it")
