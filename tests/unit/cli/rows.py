"""Which commands print rows, and the table of them in docs/operations/output.md.

``python -m tests.unit.cli.rows`` writes the table, and a test compares it.
"""

from collections.abc import Iterator

import click

from entasis_db.cli import main
from entasis_db.cli.output.rows import Printed, printed_by
from tests.engines import REPOSITORY

PAGE = REPOSITORY / "docs" / "operations" / "output.md"
_BEGIN, _END = "<!-- the table of rows -->\n", "<!-- its end -->\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name; a group is one where it does something by itself."""

    def walk(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                if command.invoke_without_command:
                    yield f"{path}{name}", command
                yield from walk(command, f"{path}{name} ")
            else:
                yield f"{path}{name}", command

    yield from walk(main, "")


def with_rows() -> dict[str, Printed]:
    """What the commands print that print rows."""
    found = {name: printed_by(command) for name, command in commands()}
    return {name: printed for name, printed in found.items() if printed is not None}


def table() -> str:
    """The table, from the code."""
    lines = ["| command | without an option | fields, as in |\n|---|---|---|\n"]
    for name, printed in with_rows().items():
        for shape in printed.shapes:
            command = f"{name} {shape.option}".strip()
            suits = "table, else plain lines" if shape.as_table else "sentences"
            if name.startswith("history"):
                suits = "CSV"
            fields = ", ".join(f"`{field}`" for field in shape.names)
            classes = " and ".join(f"`{one}`" for one in shape.of.split(" and "))
            lines.append(f"| `{command}` | {suits} | {classes}: {fields} |\n")
    return "".join(lines)


def page() -> str:
    """The page with the table in it."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin
    assert end
    return f"{before}{begin}{table()}{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
