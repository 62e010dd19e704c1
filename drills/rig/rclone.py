"""rclone as an S3 server, in a process of its own."""

import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Rclone:
    """A server of S3 on the loopback interface; its buckets are the folders in ``folder``."""

    folder: Path
    port: int
    access_key: str
    secret_key: str
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
        address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [
                # (at a --dir-cache-time of 0s it hangs)
                *(program, "serve", "s3", "--config", "", "--addr", address, *self.options),
                str(self.folder),
            ],
            env={"RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("rclone did not start")

    def stop(self) -> None:
        """End it; what it stored stays."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Rclone]:
    """Lend a server over a folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Rclone(folder, port, secrets.token_hex(10), secrets.token_hex(20), options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
