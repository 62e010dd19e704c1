"""docs/recovery/copies.md as typed, with the databases that it needs."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.copies.conftest import forget
from tests.contract.installation.test_docs import blocks
from tests.engines import REPOSITORY, Database, Server

PAGE = REPOSITORY / "docs" / "recovery" / "copies.md"


@pytest.mark.long
@pytest.mark.own_cluster
@pytest.mark.pg_dump
@pytest.mark.newest_server
def test_every_command_of_the_page(server: Server, filled: Database, tmp_path: Path) -> None:
    lines = [line for _, text in blocks(PAGE, "console") for line in text.splitlines()]
    assert len(lines) == 6
    with ExitStack() as stack:
        copy, moved = (stack.enter_context(server.empty_database()) for _ in range(2))
        done = subprocess.run(
            ["/bin/bash", "-e", "-x", "-c", "\n".join(line.removeprefix("$ ") for line in lines)],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "DATABASE_URL": filled.dsn,
                "COPY": copy.dsn,
                "MOVED": moved.dsn,
                "TMPDIR": str(tmp_path),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "ENTASIS_PG_BINDIR": str(server.source.bindir),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    forget(server)
