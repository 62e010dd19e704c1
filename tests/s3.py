"""An S3 server of the tests' own: rclone, in a process of its own, over a temporary folder."""

import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import duckdb

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
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
    folder = Path(tempfile.mkdtemp(prefix="entasis-s3-"))
    (folder / BUCKET).mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = S3Server(port, folder / BUCKET, secrets.token_hex(10), secrets.token_hex(20))
    process = subprocess.Popen(
        [
            # (at a --dir-cache-time of 0s it hangs)
            *(program, "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{port}", str(folder)),
        ],
        env={"RCLONE_AUTH_KEY": f'"{server.access_key},{server.secret_key}"'},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError("rclone did not start")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
