"""An S3 server over TLS, with a certificate of its own for localhost."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drills.rig.rclone import Rclone, served

BUCKET = "entasis-backups"


@dataclass(frozen=True)
class SecureS3:
    """A running server, which can be stopped and started again."""

    rclone: Rclone
    certificate: Path

    @property
    def bucket(self) -> Path:
        """The folder that its bucket is."""
        return self.rclone.folder / BUCKET

    def options(self) -> dict[str, str]:
        """Return what pgBackRest has to know of it."""
        return {
            "repo2-s3-endpoint": "localhost",
            "repo2-storage-port": str(self.rclone.port),
            "repo2-s3-uri-style": "path",
            "repo2-storage-ca-file": str(self.certificate),
        }


@contextmanager
def secure_s3(folder: Path) -> Iterator[SecureS3]:
    """Lend a server whose bucket lies in a folder, which is made."""
    buckets, certificate, key = folder / "buckets", folder / "s3.crt", folder / "s3.key"
    (buckets / BUCKET).mkdir(parents=True)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    certificate.chmod(0o644)
    with served(buckets, "--cert", str(certificate), "--key", str(key)) as rclone:
        yield SecureS3(rclone, certificate)
