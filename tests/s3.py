"""An S3 server of the tests' own: rclone, in a process of its own, over a temporary folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import duckdb

from drills.rig.rclone import served

BUCKET = "history"


@dataclass(frozen=True)
class S3Server:
    """A running server; its bucket is a folder that can be looked into."""

    port: int
    bucket: Path
    access_key: str
    secret_key: str

    def url(self, prefix: str) -> str:
        """Return the URL of a prefix, as a user writes it."""
        return f"s3://{BUCKET}/{prefix}?endpoint_url=http://127.0.0.1:{self.port}&region=us-east-1"

    @property
    def environment(self) -> dict[str, str]:
        """Where the AWS tools look for credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB that reads ``s3://`` from this server, where its extension is there."""
        lake = duckdb.connect()
        lake.execute("SET timezone = 'UTC'")
        if self.reaches_duckdb:
            folder = resources.files("duckdb_extension_httpfs")
            extension = folder / f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension"
            lake.execute(f"LOAD '{extension}'")
            lake.execute(
                f"CREATE SECRET (TYPE s3, KEY_ID '{self.access_key}', SECRET '{self.secret_key}',"
                f" ENDPOINT '127.0.0.1:{self.port}', URL_STYLE 'path', USE_SSL false,"
                " REGION 'us-east-1')"
            )
        return lake

    @property
    def reaches_duckdb(self) -> bool:
        """Whether DuckDB has what it needs to read over HTTP."""
        return find_spec("duckdb_extension_httpfs") is not None

    def for_duckdb(self, prefix: str, relation: str) -> list[str]:
        """Name every object of a relation as DuckDB can read it: in the store, or as a file."""
        return [
            f"s3://{BUCKET}/{prefix}/{key}" if self.reaches_duckdb else str(file)
            for key, file in self.objects(prefix).items()
            if key.startswith(relation)
        ]

    def objects(self, prefix: str) -> dict[str, Path]:
        """Return every object below a prefix, by its key there."""
        root = self.bucket / prefix
        return {str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file()}


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Lend a server that listens on the loopback interface only."""
    folder = Path(tempfile.mkdtemp(prefix="entasis-s3-"))
    (folder / BUCKET).mkdir()
    try:
        with served(folder) as rclone:
            yield S3Server(rclone.port, folder / BUCKET, rclone.access_key, rclone.secret_key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
