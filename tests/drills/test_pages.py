"""What a page is taken to say: its commands, all of them, in its order."""

import subprocess
from pathlib import Path

import pytest

from drills import pages
from drills.pages import Block, PageError
from drills.scenarios import SCENARIOS

PAGE = """# A page

```sh
echo one
```

- in a list:

```text
not a command
```

~~~sql
SELECT '```';
~~~

```console
$ echo neither
```

```sh
echo two
```
"""


def test_commands_are_taken_in_their_order_and_nothing_else() -> None:
    assert pages.blocks(PAGE) == [
        Block(3, "sh", "echo one"),
        Block(13, "sql", "SELECT '```';"),
        Block(21, "sh", "echo two"),
    ]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("```sh\necho", "line 1 does not end"),
        ("\n```sh on tuesdays\necho\n```", "line 2.*on tuesdays"),
    ],
)
def test_a_page_that_cannot_be_taken_at_its_word_is_refused(page: str, says: str) -> None:
    with pytest.raises(PageError, match=says):
        pages.blocks(page)


def test_a_script_ends_at_the_first_command_that_fails(tmp_path: Path) -> None:
    commands = pages.blocks(
        "```sh\nX=1\n```\n\n```sh\necho $X\nfalse | true\n```\n```sh\necho 3\n```"
    )
    progress = tmp_path / "progress"
    done = subprocess.run(
        ["bash", "-c", pages.script(commands, progress)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "1\n")
    assert [line.split()[0] for line in progress.read_text().splitlines()] == ["1", "5"]


def test_sql_goes_to_psql_as_it_stands(tmp_path: Path) -> None:
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/bash\necho "$@"\ncat\n')
    psql.chmod(0o755)
    commands = [Block(1, "sql", "SELECT '$HOME', `x`;\n\\echo \\\\")]
    done = subprocess.run(
        ["/bin/bash", "-c", pages.script(commands, tmp_path / "progress")],
        env={"PATH": f"{tmp_path}:/bin:/usr/bin", "DATABASE_URL": "the url"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == (
        "--no-psqlrc --set ON_ERROR_STOP=1 the url\nSELECT '$HOME', `x`;\n\\echo \\\\\n"
    )


SETTINGS = "# place\nexport PLACE=/there\nstart() { pg_ctl start; }\nwait() {\n  sleep 1\n}"


def test_every_setting_of_the_page_gets_a_value_of_this_machine() -> None:
    assert pages.settings(SETTINGS, {"PLACE": "/here", "start": "true"}) == (
        "# place\nexport PLACE=/here\nstart() { true; }\nwait() {\n  sleep 1\n}\n"
    )
    with pytest.raises(PageError, match="no value for: start"):
        pages.settings(SETTINGS, {"PLACE": "/here"})
    with pytest.raises(PageError, match="sets none of: OTHER"):
        pages.settings(SETTINGS, {"PLACE": "/here", "start": "true", "OTHER": "x"})


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        (["the database system is starting up", "t", "t", "f"], 0),
        (["the database system is not yet accepting connections", "connection refused"], 1),
        (["t", "server closed the connection"], 1),
    ],
)
def test_a_server_that_stops_before_its_target_has_not_recovered(
    tmp_path: Path, answers: list[str], code: int
) -> None:
    """`pg_ctl --wait start` says that it runs as soon as it can be asked."""
    (tmp_path / "answers").write_text("\n".join(answers) + "\n")
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/bash\ncd "${0%/*}"\nhead -1 answers\nsed -i 1d answers\n')
    psql.chmod(0o755)
    (block,) = pages.blocks((pages.FOLDER / "README.md").read_text(encoding="utf-8"))
    asked = block.text.replace("sleep 0.2", "true") + "\nPATH=$HOME:/bin:/usr/bin\nrecovered url"
    done = subprocess.run(
        ["/bin/bash", "-c", asked], env={"HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.returncode, (tmp_path / "answers").read_text()) == (code, "")


def test_every_page_with_commands_is_played() -> None:
    """Commands that nobody runs would be prose."""
    # that of backups is run by tests/backups
    played = {scenario.page for scenario in SCENARIOS.values()} | {"README", "backups"}
    with_commands = {
        page.stem
        for page in pages.FOLDER.glob("*.md")
        if pages.blocks(page.read_text(encoding="utf-8"))
    }
    assert with_commands == played


@pytest.mark.parametrize("page", sorted({scenario.page for scenario in SCENARIOS.values()}))
def test_a_page_says_what_is_lost(page: str) -> None:
    text = (pages.FOLDER / f"{page}.md").read_text(encoding="utf-8")
    for heading in ("**What happened.**", "**How to see that it is this.**", "**What is lost.**"):
        assert heading in text, heading
    first = pages.blocks(text)[0].text
    assert first.startswith(". ~/recovery.env")
    assert f"({page}.md)" in (pages.FOLDER / "README.md").read_text(encoding="utf-8")
