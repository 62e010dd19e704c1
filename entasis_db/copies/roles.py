"""The roles that a database needs: ours, logins that are their members, and whoever owns or may."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from entasis_db import catalog
from entasis_db.cursors import execute

# the superuser that initdb made has no rows in pg_shdepend
_ROLES = """
    WITH RECURSIVE ours AS (
        SELECT r.oid FROM pg_catalog.pg_roles AS r
        WHERE r.rolname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%s)
        UNION
        SELECT m.member FROM pg_catalog.pg_auth_members AS m
        INNER JOIN ours AS o ON m.roleid OPERATOR(pg_catalog.=) o.oid
    ), wanted AS (
        SELECT o.oid FROM ours AS o
        UNION
        SELECT d.refobjid FROM pg_catalog.pg_shdepend AS d
        INNER JOIN pg_catalog.pg_database AS b ON d.dbid OPERATOR(pg_catalog.=) b.oid
        WHERE b.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
            AND d.refclassid OPERATOR(pg_catalog.=)
                'pg_catalog.pg_authid'::pg_catalog.regclass::pg_catalog.oid
        UNION
        SELECT r.oid FROM pg_catalog.pg_roles AS r
        INNER JOIN entasis.user_logins AS l ON r.rolname OPERATOR(pg_catalog.=) l.login
        UNION
        SELECT c.owner FROM (
            SELECT n.nspowner AS owner, n.oid FROM pg_catalog.pg_namespace AS n
            UNION ALL SELECT c.relowner, c.oid FROM pg_catalog.pg_class AS c
            UNION ALL SELECT p.proowner, p.oid FROM pg_catalog.pg_proc AS p
        ) AS c
        WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
            AND c.owner OPERATOR(pg_catalog.=) 10::pg_catalog.oid
            AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.objid OPERATOR(pg_catalog.=) c.oid
                    AND d.deptype OPERATOR(pg_catalog.=) ANY ('{e,i,a}'::pg_catalog."char"[])
            )
    )
    SELECT r.rolname::pg_catalog.text, r.rolcanlogin, r.rolinherit, r.rolcreatedb, r.rolcreaterole,
        r.rolbypassrls, r.rolreplication, r.rolconnlimit
    FROM pg_catalog.pg_roles AS r
    INNER JOIN wanted AS w ON r.oid OPERATOR(pg_catalog.=) w.oid
    WHERE r.rolname::pg_catalog.text OPERATOR(pg_catalog.!~) '^pg_'
    ORDER BY 1
"""
# its columns differ between versions
_MEMBERS = """
    SELECT pg_catalog.pg_get_userbyid(m.roleid)::pg_catalog.text,
        pg_catalog.pg_get_userbyid(m.member)::pg_catalog.text,
        pg_catalog.bool_or(m.admin_option),
        pg_catalog.bool_or((pg_catalog.to_jsonb(m) OPERATOR(pg_catalog.->>) 'inherit_option')
            ::pg_catalog.bool),
        pg_catalog.bool_or((pg_catalog.to_jsonb(m) OPERATOR(pg_catalog.->>) 'set_option')
            ::pg_catalog.bool)
    FROM pg_catalog.pg_auth_members AS m
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_ATTRIBUTES = ("login", "inherit", "createdb", "createrole", "bypassrls", "replication")


@dataclass(frozen=True)
class Membership:
    """That a role is a member of another."""

    role: str
    member: str
    admin: bool
    inherit: bool | None
    """None: as the member's own attribute says, as before PostgreSQL 16."""
    set: bool | None


@dataclass(frozen=True)
class Role:
    """A role, but for what makes it a superuser."""

    name: str
    login: bool
    inherit: bool
    createdb: bool
    createrole: bool
    bypassrls: bool
    replication: bool
    limit: int
    """How many connections it may have; -1: any number."""
    password: str | None = None
    """The verifier of its password; None: it has none, or it was not asked for."""


@dataclass(frozen=True)
class Roles:
    """What a database needs of its cluster."""

    roles: tuple[Role, ...]
    members: tuple[Membership, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what from_json() reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Roles":
        """Read what to_json() has returned."""
        return cls(
            tuple(Role(**role) for role in value["roles"]),
            tuple(Membership(**member) for member in value["members"]),
        )

    def without(self, names: set[str]) -> "Roles":
        """Leave some out."""
        return Roles(
            tuple(role for role in self.roles if role.name not in names),
            tuple(m for m in self.members if not {m.role, m.member} & names),
        )


def roles(connection: psycopg.Connection[Any], *, passwords: bool) -> Roles:
    """Return the roles of the database; with the verifiers of their passwords only if asked for.

    Raises psycopg.Error when they are, and the login is no superuser.
    """
    verifiers: dict[str, str | None] = {}
    if passwords:
        verifiers = dict(
            execute(
                connection,
                "SELECT rolname::pg_catalog.text, rolpassword FROM pg_catalog.pg_authid",
            )
        )
    found = [
        replace(Role(*row), password=verifiers.get(row[0]))
        for row in execute(connection, _ROLES, [*catalog.ROLES, "entasis_jobs"])
    ]
    names = {role.name for role in found}
    return Roles(
        tuple(found),
        tuple(
            Membership(*row)
            for row in execute(connection, _MEMBERS)
            if row[1] in names and (row[0] in names or row[0].startswith("pg_"))
        ),
    )


def make_roles(connection: psycopg.Connection[Any], wanted: Roles) -> None:
    """Make those that are missing, and the memberships. Those that are there stay as they are."""
    there = {
        name
        for (name,) in execute(
            connection, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles"
        )
    }
    held = {row[:2] for row in execute(connection, _MEMBERS)}
    newer = connection.info.server_version >= 160000
    for statement in statements(wanted, there, held, newer=newer):
        execute(connection, statement)


def statements(
    wanted: Roles, there: set[str], held: set[tuple[str, str]], *, newer: bool
) -> Iterator[sql.Composed]:
    """Yield what makes the roles that are missing; ``newer``: the server is PostgreSQL 16 on."""
    for role in wanted.roles:
        if role.name not in there:
            yield _create(role)
    for member in wanted.members:
        if (member.role, member.member) in held:
            continue
        option = "ADMIN OPTION" if member.admin else ""
        if newer:
            # none is an administrator unless it is said, and Citus cannot pass on that it is not
            options = {
                "ADMIN": member.admin or None,
                "INHERIT": member.inherit,
                "SET": member.set,
            }
            option = ", ".join(
                f"{name} {'TRUE' if on else 'FALSE'}"
                for name, on in options.items()
                if on is not None
            )
        yield sql.SQL("GRANT {} TO {} WITH {}" if option else "GRANT {} TO {}{}").format(
            sql.Identifier(member.role), sql.Identifier(member.member), sql.SQL(option)
        )


def _create(role: Role) -> sql.Composed:
    words = [f"{'' if getattr(role, name) else 'NO'}{name}".upper() for name in _ATTRIBUTES]
    made = sql.SQL("CREATE ROLE {} {} CONNECTION LIMIT {}").format(
        sql.Identifier(role.name), sql.SQL(" ".join(words)), sql.Literal(role.limit)
    )
    if role.password is not None:
        made += sql.SQL(" PASSWORD {}").format(sql.Literal(role.password))
    return made


def script(wanted: Roles, connection: psycopg.Connection[Any]) -> str:
    """Return the roles as a script for psql, which makes all of them."""
    lines: Sequence[str] = [
        one.as_string(connection)
        for one in statements(wanted, set(), set(), newer=connection.info.server_version >= 160000)
    ]
    return "".join(f"{line};\n" for line in lines)
