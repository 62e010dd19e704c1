"""Programs, processes and ports: how they are started, and what can be known about running ones."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HOST = "127.0.0.1"
"""The only address that a cluster listens on."""


class ServiceUser(NamedTuple):
    """The user who runs the server in place of root."""

    name: str
    uid: int
    gid: int


def spawn(
    command: Sequence[str], user: ServiceUser | None, **streams: Any
) -> subprocess.Popen[str]:
    """Start a program as ``user``, or as the caller, in a session out of reach of our Ctrl-C."""
    return subprocess.Popen(  # noqa: S603 - no shell reads the arguments
        command,
        text=True,
        errors="replace",
        cwd="/",  # ours may be closed to that user
        env=_environment(),
        umask=0o077,
        start_new_session=True,
        **identity(user),
        **streams,
    )


def run(
    command: Sequence[str], user: ServiceUser | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end as ``user``, or as the caller, and capture what it prints."""
    return subprocess.run(  # noqa: S603 - no shell reads the arguments
        command,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        env=_environment(),
        timeout=60,
        check=False,
        **identity(user),
    )


def identity(user: ServiceUser | None) -> dict[str, Any]:
    """Answer the arguments of ``Popen`` that make a process belong to ``user``."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    """Answer the environment of a server, which has none of the caller's secrets in it."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C", "TZ": "UTC"}


def command_line(pid: int) -> list[str]:
    """Answer the command line of a process; empty when it is dead, a zombie included."""
    if Path("/proc/self/cmdline").exists():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(part) for part in line.split(b"\0")[:-1]]
    shown = run(["ps", "-ww", "-o", "command=", "-p", str(pid)]).stdout.strip()
    found = re.fullmatch(r"(.*?/(?:postgres|postmaster)) -D (.+?)(?: -.*)?", shown)
    return [found[1], "-D", found[2]] if found else [shown]


def is_postmaster(command: Sequence[str]) -> bool:
    """Say whether a command line is that of a server; its backends are called "postgres: ..."."""
    return bool(command) and Path(command[0]).name in ("postgres", "postmaster")


def exists(pid: int) -> bool:
    """Say whether there is a process of this number, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_port() -> int:
    """Answer a port of ``HOST`` that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int | None) -> bool:
    """Say whether a server could listen on a port of ``HOST``; None stands for any port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((HOST, port or 0))
        except OSError as fault:
            if fault.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def last_lines(text: str, count: int = 20) -> str:
    """Answer the end of what a program has printed."""
    return "\n".join(text.strip().splitlines()[-count:])
