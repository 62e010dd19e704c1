"""A page's commands see what a host of the server's has, and the first that fails ends it."""

import os
from pathlib import Path

import pytest

from drills import shell
from drills.pages import Block
from drills.shell import FailedError

WHERE = {"PATH": "/usr/bin:/bin"}


def test_entasis_is_the_one_of_this_checkout(tmp_path: Path) -> None:
    """With its arguments, its environment, its exit code and what it prints."""
    with shell.entasis(tmp_path, None) as folder:
        environment = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
        }
        commands = [
            Block(1, "sh", "entasis check 'no\ntime' || echo $?"),
            Block(5, "sh", "entasis status || echo $?"),
        ]
        output = shell.play("page", commands, folder, None, environment).output
    assert r"'no\ntime'" in output
    assert "\n2\n" in output
    assert "port 1" in output
    assert output.endswith("\n1\n")
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_timed(tmp_path: Path) -> None:
    commands = [Block(3, "sh", "X=1"), Block(7, "sh", "sleep 0.2\necho $X; echo bad >&2")]
    played = shell.play("page", commands, tmp_path, None, WHERE)
    assert played.output == "1\nbad\n"
    assert [line for line, _ in played.blocks] == [3, 7]
    assert 0.2 <= played.blocks[1][1] <= played.seconds < 5


def test_the_block_that_failed_is_named(tmp_path: Path) -> None:
    commands = [Block(3, "sh", "true"), Block(7, "sh", "echo why\nfalse\necho on")]
    with pytest.raises(FailedError, match=r"^page: the block of line 7 ended with 1:\nwhy$"):
        shell.play("page", commands, tmp_path, None, WHERE)


def test_a_page_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="more than 0 s: waiting"):
        shell.play(
            "page", [Block(1, "sh", "echo waiting\nexec sleep 60")], tmp_path, None, WHERE, 0.3
        )


def test_commands_see_nothing_of_the_drills_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "ENTASIS_SECRET", "x")
    commands = [Block(1, "sh", "env")]
    assert "ENTASIS_SECRET" not in shell.play("page", commands, tmp_path, None, WHERE).output
