"""A connection string is shown without what is secret in it, and means the same otherwise."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result
from psycopg.conninfo import conninfo_to_dict

from entasis_db.cli import main
from entasis_db.cli.target import without_secrets

SECRET = "s3cr3t"
LEFT_OUT = "the password is left out; clients find one in PGPASSWORD or in ~/.pgpass\n"


def asked(*arguments: str, url: str | None = None) -> Result:
    return CliRunner(env={"DATABASE_URL": url}).invoke(main, [*arguments])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"postgresql://u:{SECRET}@h:1/d", "postgresql://u@h:1/d"),
        (f"postgres://u:{SECRET}@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        (f"postgresql://u:{SECRET}@[::1]:5/d", "postgresql://u@[::1]:5/d"),
        (f"postgresql://a%40b:{SECRET}@h/d%2Fe", "postgresql://a%40b@h/d%2Fe"),
        (f"postgresql://:{SECRET}@h", "postgresql://h/"),
        (f"postgresql://u:pass?{SECRET}#{SECRET}@h:1/d", "postgresql://u@h:1/d"),
        (
            f"postgresql://u:{SECRET}@h1:1,h2:2/d?options=-c%20a%3Db%26c",
            "postgresql://u@/d?host=h1%2Ch2&port=1%2C2&options=-c%20a%3Db%26c",
        ),
        (f"postgresql:///d?host=/run/pg&password={SECRET}", "postgresql:///d?host=/run/pg"),
        (f"postgresql://u@h/d?sslpassword={SECRET}&sslkey=k", "postgresql://u@h/d?sslkey=k"),
        (f"host=h user=u password='{SECRET} x'", "user=u host=h"),
        (f"host='a b' password={SECRET} dbname='it\\'s'", "dbname=it\\'s host='a b'"),
    ],
)
def test_the_password_is_left_out_of_a_url_that_was_given(given: str, shown: str) -> None:
    result = asked("url", url=given)
    assert result.exit_code == 0, result.output
    assert result.stderr == LEFT_OUT
    assert SECRET not in result.output
    assert result.stdout == f"{shown}\n"
    expected = {
        name: value
        for name, value in conninfo_to_dict(given).items()
        if name not in ("password", "sslpassword")
    }
    assert conninfo_to_dict(result.stdout.removesuffix("\n")) == expected
    assert asked("--database", given, "url").stdout == result.stdout


@pytest.mark.parametrize(
    "given", ["postgres://u@h1,h2:5/d", "service=mine", "host=h  user = u", "postgresql://"]
)
def test_a_url_without_a_password_is_shown_as_it_is(given: str) -> None:
    result = asked("url", url=given)
    assert (result.stdout, result.stderr, result.exit_code) == (f"{given}\n", "", 0)


def test_a_locale_without_its_characters_does_not_matter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "entasis_db", "--database", "host=é", "url"],
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert (done.stdout.decode(), done.stderr) == ("host=é\n", b"")


def test_what_a_url_cannot_say_becomes_a_list_of_parameters() -> None:
    # an abstract socket, and a host that has no place in front of the name
    for given in (
        f"postgresql://u:{SECRET}@/d?host=%40abstract",
        f"host=/a,/b port=1,2 password={SECRET} dbname=d",
    ):
        shown = without_secrets(given)
        kept = {k: v for k, v in conninfo_to_dict(given).items() if k != "password"}
        assert conninfo_to_dict(shown) == kept
        assert SECRET not in shown


@pytest.mark.parametrize("command", ["url", "env"])
@pytest.mark.parametrize(
    "given",
    [
        f"postgresql://nobody:pass@{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:pass/{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:{SECRET}/word@127.0.0.1:1/db",
        f"postgresql://nobody:12/{SECRET}@127.0.0.1:1/db",
        f"postgresql://nobody:%zz{SECRET}@127.0.0.1:1/db",
        f"postgresql://[{SECRET}",
        f"host=127.0.0.1 port=1 password=two {SECRET}",
        f"password='{SECRET}",
        f"host=h password={SECRET}" + os.fsdecode(b"\xff"),
        SECRET,
    ],
)
def test_what_cannot_be_understood_is_not_shown(given: str, command: str) -> None:
    result = asked("--database", given, command)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("entasis: the connection string cannot be understood; write")
    assert SECRET not in result.output


def test_env_leaves_a_database_url_that_is_set_alone() -> None:
    result = asked("env", url=f"postgresql://u:{SECRET}@h/d")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert result.stderr == "DATABASE_URL is set already, and stays as it is\n"


def test_env_of_a_named_database_has_no_password() -> None:
    given = f"host=h user='it''s $HOME' password={SECRET}".replace("''", "\\'")
    result = asked("--database", given, "env")
    assert result.exit_code == 0
    assert (
        result.stderr == "the password is left out: set PGPASSWORD too, or write it to ~/.pgpass\n"
    )
    assert SECRET not in result.output
    done = subprocess.run(
        ["sh", "-euc", 'eval "$(cat)"; printf %s "$DATABASE_URL"'],
        input=result.stdout,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert conninfo_to_dict(done.stdout) == {"host": "h", "user": "it's $HOME"}
    assert asked("--database", "host=h", "env").stderr == ""
