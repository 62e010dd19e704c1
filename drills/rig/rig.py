"""A folder with servers, their repositories and the configuration that backup/ ships."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from drills.rig import configuration
from drills.rig.s3 import SecureS3, secure_s3
from drills.rig.server import Server, is_zombie
from entasis_db.embedded.process import ServiceUser, free_port, identity
from entasis_db.embedded.service_user import run_as

DEBIAN = Path("/usr/lib/postgresql/15/bin")
"""The server that Debian's pgBackRest 2.45 knows; 16 and later need a later one."""

_MEMORY = Path("/dev/shm")
_ENOUGH = 2 * 2**30


def programs() -> Path | None:
    """Find the programs that a rig needs: those of the server, if pgBackRest is there too."""
    return DEBIAN if shutil.which("pgbackrest") and (DEBIAN / "initdb").exists() else None


@dataclass
class Rig:
    """Servers of one service user, and what they share."""

    home: Path
    bindir: Path
    user: ServiceUser | None
    s3: SecureS3 | None
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    passphrases: tuple[str, str] = field(
        default_factory=lambda: (secrets.token_hex(24), secrets.token_hex(24)), repr=False
    )
    servers: dict[str, Server] = field(default_factory=dict)

    @property
    def superuser(self) -> str:
        """The login of the servers' superuser: pgBackRest logs in under the service user's name."""
        return getpass.getuser() if self.user is None else self.user.name

    @property
    def config(self) -> Path:
        """The folder that stands for /etc/pgbackrest."""
        return self.home / "pgbackrest"

    @property
    def repository(self) -> Path:
        """The folder of repo1."""
        return self.home / "repo1"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.home / "log"

    @property
    def sockets(self) -> Path:
        """The folder of the servers' sockets."""
        return self.home / "run"

    @property
    def password_file(self) -> Path:
        """A file with the superuser's password, for initdb."""
        return self.home / "password"

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes the commands of docs/recovery mean this rig."""
        return {
            "PATH": f"{self.bindir}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(self.home),
            "PGHOST": str(self.sockets),
            "PGUSER": self.superuser,
            "PGBACKREST_CONFIG_PATH": str(self.config),
            "PGBACKREST_STANZA": "entasis",
        }

    def run(
        self,
        *command: str,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the service user; RuntimeError with what it said if it fails."""
        if environment is None:
            environment = {"PATH": f"{self.bindir}:{os.environ.get('PATH', '/usr/bin:/bin')}"}
            if self.config.exists():
                environment = self.environment
        # into a file: a server that is started keeps the other end of a pipe open
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=dict(environment),
                timeout=timeout,
                check=False,
                **identity(self.user),
            )
            output.seek(0)
            said = output.read()
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {said[-3000:]}")
        return subprocess.CompletedProcess(command, done.returncode, said, "")

    def end_background(self) -> None:
        """End what pgBackRest does in the background: it outlives the server that asked for it."""
        home = os.fsencode(self.home) + b"/"
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes()
                ours = home in command or home in (process / "environ").read_bytes()
                if ours and Path(os.fsdecode(command.split(b"\0")[0])).name == "pgbackrest":
                    os.kill(int(process.name), signal.SIGKILL)
                    while process.exists() and not is_zombie(int(process.name)):
                        time.sleep(0.01)

    def folder(self, path: Path) -> Path:
        """Make a folder that the service user owns alone."""
        path.mkdir(mode=0o700, parents=True)
        self.own(path)
        return path

    def own(self, path: Path) -> None:
        """Give a file or folder to the service user."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)

    def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a file of the service user's."""
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        self.own(path)

    def server(self, name: str) -> Server:
        """Name a server of this rig; its data folder is not made."""
        if name not in self.servers:
            self.servers[name] = Server(self, name, self.home / name, free_port())
        return self.servers[name]

    def configure(self, primary: Server, options: Mapping[str, str]) -> None:
        """Write the files of backup/pgbackrest, with the paths and secrets of this rig."""
        given = {
            "repo1-path": str(self.repository),
            "spool-path": str(self.home / "spool"),
            "log-path": str(self.logs),
            "lock-path": str(self.home / "lock"),
            "pg1-path": str(primary.data),
            "pg1-port": str(primary.port),
            "pg1-socket-path": str(self.sockets),
            **({} if self.s3 is None else self.s3.options()),
            **options,
        }
        hidden = {"repo1-cipher-pass": self.passphrases[0]}
        text = configuration.pgbackrest_conf(given)
        if self.s3 is None:
            text = configuration.without_repo2(text)
        else:
            hidden["repo2-cipher-pass"] = self.passphrases[1]
            hidden["repo2-s3-key"] = self.s3.rclone.access_key
            hidden["repo2-s3-key-secret"] = self.s3.rclone.secret_key
        secret = configuration.secrets_conf(hidden)
        if self.s3 is None:
            secret = configuration.without_repo2(secret)
        self.write(self.config / "pgbackrest.conf", text, 0o644)
        self.write(self.config / "conf.d" / "secrets.conf", secret)


@contextmanager
def rig(
    *,
    s3: bool = True,
    bindir: Path | None = None,
    options: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    prepare: Callable[[Rig], Callable[[], object]] = lambda _: lambda: None,
) -> Iterator[Rig]:
    """Lend a rig whose server ``primary`` runs, archives, and has no backup yet.

    ``options`` are of pgBackRest, ``settings`` of the server, beside those of backup/; ``bindir``
    is the folder of the server's programs, by default that of programs(). The rig has a database
    ``entasis``, which is empty. ``prepare`` is called with its folders, before the server is made,
    and answers what takes it back.
    """
    bindir = bindir or programs()
    assert bindir is not None, "PostgreSQL 15 and pgBackRest are not both on this machine"
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH
    home = Path(tempfile.mkdtemp(prefix="entasis-rig-", dir=_MEMORY if in_memory else None))
    home.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(_remove, home)
        store = stack.enter_context(secure_s3(home / "s3")) if s3 else None
        made = Rig(home, bindir, run_as(), store)
        made.own(home)
        for path in ("run", "log", "lock", "spool", "repo1"):
            made.folder(home / path)
        made.write(made.password_file, made.password)
        made.folder(made.config)
        made.folder(made.config / "conf.d")
        stack.callback(prepare(made))
        stack.callback(_stop_all, made)
        _build(made, options or {}, settings or {})
        yield made


def _remove(home: Path) -> None:
    # what still archived when its server was killed may make a folder anew
    for _ in range(50):
        shutil.rmtree(home, ignore_errors=True)
        if not home.exists():
            return
        time.sleep(0.1)


def _build(made: Rig, options: Mapping[str, str], settings: Mapping[str, str]) -> None:
    primary = made.server("primary")
    made.configure(primary, options)
    primary.initialise({**configuration.SETTINGS, **settings})
    primary.append(configuration.postgresql_conf())
    # before it archives, and holds the lock that this takes
    primary.pgbackrest("stanza-create", "--no-online")
    primary.start()
    with primary.connect("postgres") as connection:
        connection.execute("CREATE DATABASE entasis")


def _stop_all(made: Rig) -> None:
    for server in made.servers.values():
        with suppress(OSError, RuntimeError):
            server.kill()
    made.end_background()
