"""The pages of docs/recovery/ as scripts: their fenced blocks, in their order, and nothing else."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "recovery"
"""Where the pages are."""
SHELL, SQL = "sh", "sql"

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<note>[^`]*)$")
_SETTING = re.compile(r"export (?P<variable>\w+)=|(?P<function>\w+)\(\) \{ .* \}")
# nobody writes this line into SQL
_END = "END_OF_THE_SQL_OF_A_PAGE"


class PageError(Exception):
    """A page cannot be run as it stands."""


@dataclass(frozen=True)
class Block:
    """Commands of a page."""

    line: int
    """Line of the page on which the block's fence opens, from 1."""
    language: str
    """``sh``, or ``sql`` for psql and the server of DATABASE_URL."""
    text: str
    """What is between the fences."""


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page that are commands, in its order.

    Blocks of another language (``text`` shows what is printed) are none. Raises PageError for a
    block of commands with a heading, which would be a condition, and for one that does not end.
    """
    found = []
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened is None:
            continue
        body = []
        for _, inner in lines:
            if inner.strip() == opened["fence"]:
                break
            body.append(inner)
        else:
            raise PageError(f"the block of line {number} does not end")
        language, _, heading = opened["note"].strip().partition(" ")
        if language not in (SHELL, SQL):
            continue
        if heading:
            raise PageError(
                f"line {number}: commands are run whatever their heading says: {heading!r}"
            )
        found.append(Block(number, language, "\n".join(body)))
    return found


def script(commands: Sequence[Block], progress: Path) -> str:
    """Return one script of them all for Bash, which ends at the first that fails.

    It adds the line of each block and the time in seconds to a file before it runs it.
    """
    parts = ["set -euo pipefail"]
    for block in commands:
        text = block.text
        if block.language == SQL:
            text = (
                f"psql --no-psqlrc --set ON_ERROR_STOP=1 \"$DATABASE_URL\" <<'{_END}'\n"
                f"{text}\n{_END}"
            )
        parts += [f"echo {block.line} $EPOCHREALTIME >> {quote(str(progress))}", text]
    return "\n".join([*parts, f"echo end $EPOCHREALTIME >> {quote(str(progress))}", ""])


def settings(text: str, values: Mapping[str, str]) -> str:
    """Put values of this machine into the file that every page begins with.

    A value stands in for the line that sets a variable, or for the function of one line, of its
    name. Raises PageError where the file has another than the values are for.
    """
    left = dict(values)
    lines = []
    for line in text.splitlines():
        found = _SETTING.match(line)
        if found is None:
            lines.append(line)
        elif found["variable"] in left:
            name = found["variable"]
            lines.append(f"export {name}={left.pop(name)}")
        elif found["function"] in left:
            name = found["function"]
            lines.append(f"{name}() {{ {left.pop(name)}; }}")
        else:
            raise PageError(f"the drill has no value for: {line}")
    if left:
        raise PageError(f"the page sets none of: {', '.join(left)}")
    return "\n".join([*lines, ""])
