"""What git runs before a commit is what `make lint` runs, and subjects say what a commit does."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy
from types import ModuleType

import pytest
import yaml

from tests.engines import REPOSITORY

SCRIPT = REPOSITORY / ".ci" / "commit_subject.py"
CONFIG = REPOSITORY / ".pre-commit-config.yaml"


@pytest.fixture(scope="module")
def commit_subject() -> ModuleType:
    spec = importlib.util.spec_from_file_location("commit_subject", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "message",
    [
        "Refuse a bucket without an exchange",
        "Address what the review said\n\nBecause it was right.\n",
        "Bring the embedded server to 18",
        "Re-apply views",
        "Focus on one market",
        "Add " + "y" * 67,
        "# a comment of git's\nAdd a test\n# another\n",
        "Add a test\n\n# ------------------------ >8 ------------------------\ndiff --git a b\n",
        'Revert "The bench weighs an archive"',
        "fixup! The bench weighs an archive",
        "Merge branch 'x'",
    ],
)
def test_a_good_subject_passes(commit_subject: ModuleType, message: str) -> None:
    assert commit_subject.fault(message) is None


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("", "no subject"),
        ("# only comments\n", "no subject"),
        ("Add " + "y" * 68, "72 characters"),
        ("Add a test.", "full stop"),
        ("add a test", "begins with 'add'"),
        ("fix: a test", "begins with 'fix:'"),
        ("Fix: a test", "begins with 'Fix:'"),
        ("Added a test", "no imperative"),
        ("Adds a test", "no imperative"),
        ("Adding a test", "no imperative"),
        ("The bench weighs an archive", "begins with 'The'"),
        ("Two tests say what holds", "begins with 'Two'"),
        ("What was archived is attached", "begins with 'What'"),
        ("Add a test\nand its reason", "second line"),
    ],
)
def test_a_bad_subject_is_refused(commit_subject: ModuleType, message: str, wrong: str) -> None:
    assert wrong in commit_subject.fault(message)


def test_hooks_are_the_commands_of_make_lint() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (parts,) = re.findall(r"^lint:((?: lint-\w+)+) ##", makefile, re.MULTILINE)
    repositories = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repos"]
    assert [r["repo"] for r in repositories] == ["local"], "hooks of others are fetched"
    hooks = repositories[0]["hooks"]
    assert {h["language"] for h in hooks} == {"system"}
    targets = [h["entry"].split()[-1] for h in hooks if h["entry"].startswith("make ")]
    assert targets == parts.split()


def test_hooks_run_at_a_commit(tmp_path: Path) -> None:
    """In a repository with the same hooks, and a Makefile that writes down what it is asked for."""
    (tmp_path / ".ci").mkdir()
    copy(SCRIPT, tmp_path / ".ci")
    copy(CONFIG, tmp_path)
    (tmp_path / "Makefile").write_text("lint-%:\n\techo $@ >> asked\n\ttest ! -e broken\n")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "MAKE"))},
        "PRE_COMMIT_HOME": str(tmp_path / ".git" / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{
            f"GIT_{who}_{what}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    def commit(file: str, message: str) -> tuple[int, list[str]]:
        (tmp_path / "asked").unlink(missing_ok=True)
        (tmp_path / file).write_text("-- nothing\n")
        run("git", "add", file)
        done = run("git", "commit", "--quiet", "--message", message)
        asked = tmp_path / "asked"
        return done.returncode, asked.read_text().split() if asked.exists() else []

    assert run("git", "init", "--quiet").returncode == 0
    installed = run(sys.executable, "-m", "pre_commit", "install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert commit("a.sql", "Add a table") == (0, ["lint-sql"])
    assert commit("a.py", "Add a reader") == (0, ["lint-style", "lint-format", "lint-types"])
    assert commit("a.md", "Add a page") == (0, [])
    assert commit("b.md", "Added a page")[0] == 1
    (tmp_path / "broken").touch()
    assert commit("b.sql", "Add a table") == (1, ["lint-sql"])
    assert run("git", "rev-list", "--count", "HEAD").stdout.strip() == "3"


LONG = """
import pytest

@pytest.mark.long
def test_of_a_drill() -> None:
    pass

def test_of_a_moment() -> None:
    pass
"""


def test_long_tests_are_left_to_test_all(tmp_path: Path) -> None:
    copy(REPOSITORY / "pyproject.toml", tmp_path)
    copy(REPOSITORY / "Makefile", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_drills.py").write_text(LONG)
    made = ["make", "--no-print-directory", f"BIN={Path(sys.executable).parent}", "DEV="]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTEST"))}

    def collected(*target: str) -> list[str]:
        asked = subprocess.run(
            [*made, *target, "ARGS=--collect-only -q --numprocesses=0", "--dry-run"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        (command,) = [line for line in asked.splitlines() if " -m pytest " in line]
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return re.findall(r"::(\w+)", ran.stdout)

    assert collected("test") == ["test_of_a_moment"]
    assert collected("test-all") == ["test_of_a_drill", "test_of_a_moment"]
    assert collected("test-all", "SHORT=1") == ["test_of_a_drill", "test_of_a_moment"]


def test_ci_runs_all_in_the_short_form() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert script.splitlines()[-1] == "make test-all SHORT=1"
