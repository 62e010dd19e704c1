"""A server with its backups, as docs/recovery says: made for a drill or a test, and thrown away."""

from drills.rig.configuration import BACKUP, SETTINGS
from drills.rig.rig import Rig, programs, rig
from drills.rig.s3 import SecureS3, secure_s3
from drills.rig.server import Server

__all__ = [
    "BACKUP",
    "SETTINGS",
    "Rig",
    "SecureS3",
    "Server",
    "programs",
    "rig",
    "secure_s3",
]
