"""Where archives and backups go: a bucket of an S3-compatible store, or a folder.

A store takes whole files under new keys and gives them back. A file is there whole or not at all.
"""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from entasis_db.errors import StoreError

_MEBIBYTE = 2**20
_PARTIAL = ".partial"
PROBE = "entasis-probe-"
"""What the key begins with that a store is tried with; nothing stays there."""
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_S3_OPTIONS = {"endpoint_url", "region", "profile", "sse", "kms_key_id"}
_FORMS = (
    "write s3://BUCKET/PREFIX, with any of ?endpoint_url=...&region=...&profile=...&sse=AES256 "
    "(or sse=aws:kms&kms_key_id=...), or file:///FOLDER"
)


class Store(Protocol):
    """What archives and backups are written to. Every method raises StoreError."""

    @property
    def location(self) -> str:
        """Where it is, without options and without credentials: for the manifest."""

    def put(self, key: str, file: Path) -> None:
        """Store a file under a key that is not in use. A failure leaves nothing to be seen."""

    def get(self, key: str, file: Path) -> None:
        """Fetch what is stored under a key into a file."""

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Fetch so many bytes of what is stored under a key, or those up to its end."""

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the bytes of what is stored under keys with a prefix, by key.

        What began to be stored, by a process that was killed or is at it, ends in ``.partial``.
        """

    def discard(self, prefix: str) -> None:
        """Delete whatever was stored, or began to be stored, under keys with a prefix."""


def open_store(url: str) -> Store:
    """Open the store of a URL; nothing is asked of it yet.

    Credentials are never part of it: they come from where the AWS tools look for them, which are
    the environment, a profile, and the role of the instance or container.

    Raises StoreError for a URL that is not understood, without repeating it.
    """
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
        named = parts.hostname  # raises for some malformed ones
    except ValueError:
        raise StoreError(f"the URL of the store cannot be understood: {_FORMS}") from None
    if _holds_credentials(parts.netloc, options.get("endpoint_url", [])):
        raise StoreError(
            "the URL of the store holds credentials: leave them out, and put them where the AWS "
            "tools look for them (the environment, a profile, or the role of the machine)"
        )
    if parts.fragment or (parts.scheme == "s3" and not _BUCKET.fullmatch(parts.netloc)):
        raise StoreError(f"the URL of the store names no bucket or folder: {_FORMS}")
    path = unquote(parts.path).strip("/")
    if parts.scheme == "file" and not named and path and not options:
        return FolderStore(Path("/") / path)
    if parts.scheme == "s3" and parts.netloc and not (unknown := options.keys() - _S3_OPTIONS):
        return S3Store(parts.netloc, path, **{name: values[-1] for name, values in options.items()})
    if parts.scheme == "s3" and parts.netloc:
        raise StoreError(f"the URL of the store has unknown options ({len(unknown)}): {_FORMS}")
    raise StoreError(f"the URL of the store cannot be understood: {_FORMS}")


def probe(store: Store) -> None:
    """Write a few bytes, read them back, list and delete them.

    So what is wrong with a store is known before anything relies on it. Raises StoreError for what
    it refuses, or gives back otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="entasis-probe-") as folder:
        written, read = Path(folder) / "written", Path(folder) / "read"
        written.write_bytes(secrets.token_bytes(32))
        key = f"{PROBE}{secrets.token_hex(8)}"
        try:
            store.put(key, written)
            store.get(key, read)
            listed = store.sizes(PROBE)
        except StoreError:
            with suppress(StoreError):  # the first fault is the one to be told
                store.discard(PROBE)
            raise
        store.discard(PROBE)
        if read.read_bytes() != written.read_bytes() or listed.get(key) != 32:
            raise StoreError(
                f"{store.location} gives back other bytes than it was given: choose another store"
            )


def _holds_credentials(bucket: str, endpoints: list[str]) -> bool:
    """Say whether there is a user, a password or a signature, in whichever encoding."""
    bucket, *endpoints = (unquote(unquote(part)) for part in (bucket, *endpoints))
    return "@" in bucket or ":" in bucket or any(re.search("[@?#]", each) for each in endpoints)


class FolderStore:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.location = folder.as_uri()

    def put(self, key: str, file: Path) -> None:
        """Copy it beside its place, make sure that it is on the disk, and rename it."""
        target = self._folder / key
        partial = target.with_name(target.name + _PARTIAL)
        with _folder_errors(f"{key} could not be written"):
            _make_private(target.parent)
            # what was left of a killed run may be another's, or open to others
            partial.unlink(missing_ok=True)
            try:
                with file.open("rb") as source, open(partial, "xb", opener=_private) as sink:
                    shutil.copyfileobj(source, sink, _MEBIBYTE)
                    sink.flush()
                    os.fsync(sink.fileno())
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
            for folder in (target.parent, *target.parent.parents):
                _sync(folder)
                if folder == self._folder:
                    break

    def get(self, key: str, file: Path) -> None:
        """Copy it."""
        with _folder_errors(f"{key} could not be read"):
            shutil.copyfile(self._folder / key, file)

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Read it."""
        with _folder_errors(f"{key} could not be read"), (self._folder / key).open("rb") as source:
            source.seek(offset)
            return source.read(length)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Look at the files."""
        found = {}
        with _folder_errors("what is there could not be listed"):
            for folder, _, names in os.walk((self._folder / f"{prefix}x").parent, onerror=_raise):
                for file in (Path(folder) / name for name in names):
                    key = file.relative_to(self._folder).as_posix()
                    if key.startswith(prefix):
                        found[key] = file.stat().st_size
        return found

    def discard(self, prefix: str) -> None:
        """Delete the files, half written ones among them."""
        beginning = self._folder / prefix
        with _folder_errors(f"{prefix}* could not be deleted"):
            for found in sorted(beginning.parent.glob("*")):
                if found.name.startswith(beginning.name):
                    found.unlink(missing_ok=True)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # nothing was ever stored, or it goes meanwhile
        raise error


def _make_private(folder: Path) -> None:
    """Make what is missing of a folder, for its owner alone; what is there stays as it is."""
    if not folder.is_dir():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync(folder: Path) -> None:
    # some file systems cannot, and then there is nothing to be done
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _folder_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what} in the store's folder: {error.strerror or error}") from error


class S3Store:
    """A prefix of a bucket."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        profile: str | None = None,
        sse: str | None = None,
        kms_key_id: str | None = None,
    ) -> None:
        try:
            import boto3
            from boto3.s3.transfer import TransferConfig
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise StoreError("boto3 is missing: pip install 'entasis-db[archive]'") from None
        if sse not in (None, "AES256", "aws:kms") or (kms_key_id and sse != "aws:kms"):
            raise StoreError(f"the encryption asked for is not known: {_FORMS}")
        self.location = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._extra = {}
        if sse is not None:
            self._extra["ServerSideEncryption"] = sse
        if kms_key_id is not None:
            self._extra["SSEKMSKeyId"] = kms_key_id
        # at most four parts of this size are in memory at a time
        self._transfer = TransferConfig(
            multipart_threshold=8 * _MEBIBYTE, multipart_chunksize=8 * _MEBIBYTE, max_concurrency=4
        )
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            # what some compatible stores do not know; every object is read back and compared anyway
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
        )
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            self._client: Any = session.client("s3", endpoint_url=endpoint_url, config=config)
        except (BotoCoreError, ValueError) as error:
            # what it says repeats what it was given
            raise StoreError(
                f"the store cannot be used ({type(error).__name__}): look at the profile,"
                " the region and the endpoint_url"
            ) from None

    def put(self, key: str, file: Path) -> None:
        """Upload it, in several parts where it is large; a failed upload is aborted."""
        with _s3_errors(f"{key} could not be written"):
            self._client.upload_file(
                str(file),
                self._bucket,
                self._prefix + key,
                ExtraArgs=dict(self._extra),
                Config=self._transfer,
            )

    def get(self, key: str, file: Path) -> None:
        """Download it."""
        with _s3_errors(f"{key} could not be read"):
            self._client.download_file(
                self._bucket, self._prefix + key, str(file), Config=self._transfer
            )

    def part(self, key: str, offset: int, length: int) -> bytes:
        """Download a range of it."""
        with _s3_errors(f"{key} could not be read"):
            found = self._client.get_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Range=f"bytes={offset}-{offset + length - 1}",
            )
            content: bytes = found["Body"].read()
            return content

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """List the objects."""
        with _s3_errors("what is there could not be listed"):
            begun = [(one["Key"] + _PARTIAL, 0) for one in self._uploads(self._prefix + prefix)]
            found = [*begun, *self._objects(self._prefix + prefix)]
            return {key.removeprefix(self._prefix): size for key, size in found}

    def discard(self, prefix: str) -> None:
        """Delete the objects, and abort uploads that a killed process left half done."""
        beginning = self._prefix + prefix
        with _s3_errors(f"{prefix}* could not be deleted"):
            for key, _ in self._objects(beginning):
                self._client.delete_object(Bucket=self._bucket, Key=key)
            for upload in self._uploads(beginning):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    def _objects(self, beginning: str) -> Iterator[tuple[str, int]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=beginning
        )
        for page in pages:
            for found in page.get("Contents", []):
                yield found["Key"], found["Size"]

    def _uploads(self, beginning: str) -> list[dict[str, str]]:
        from botocore.exceptions import ClientError

        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=beginning
        )
        try:
            return [upload for page in pages for upload in page.get("Uploads", [])]
        except ClientError as error:
            # some compatible stores know of none, or of none at the moment, and say so in this way
            if error.response.get("Error", {}).get("Code") in ("NotImplemented", "NoSuchUpload"):
                return []
            raise


@contextmanager
def _s3_errors(what: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise StoreError(
            f"{what}: no credentials were found in the environment, a profile or the machine's role"
        ) from None
    except ClientError as error:
        said = error.response.get("Error", {})
        raise StoreError(
            f"{what}: the store answered {said.get('Code')}: {said.get('Message')}"
        ) from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise StoreError(f"{what}: {error}") from error
