"""The routines of schema/ as PostgreSQL's own parser reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import FunctionParameterMode

# what puts columns within reach of the expressions inside it
_STATEMENTS = (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_KEYWORDS = {"bigint", "boolean", "integer", "interval", "numeric", "smallint"}
_INPUT = (
    FunctionParameterMode.FUNC_PARAM_DEFAULT,
    FunctionParameterMode.FUNC_PARAM_IN,
    FunctionParameterMode.FUNC_PARAM_INOUT,
)


@dataclass(frozen=True, slots=True)
class Routine:
    """One CREATE FUNCTION or CREATE PROCEDURE, and the statements that its body is made of."""

    name: str
    language: str
    parameters: frozenset[str]
    body: tuple[Any, ...]
    pinned: bool
    """Whether its names mean the same under any search path."""
    bare_types: frozenset[str]
    """The types of its variables that are named without their schemas, and are no keywords."""

    def nodes(self) -> Iterator[tuple[Any, bool]]:
        """Yield every node of the body, and whether columns of a relation are within its reach."""
        for statement in self.body:
            yield from _walk(statement, False)

    def relations(self) -> frozenset[str]:
        """Return the relations that it names, qualified."""
        return frozenset(
            f"{node.schemaname}.{node.relname}"
            for node, _ in self.nodes()
            if isinstance(node, ast.RangeVar) and node.schemaname is not None
        )

    def own_columns(self) -> frozenset[str]:
        """Return the names that its queries give to columns themselves."""
        found: set[str] = set()
        for node, _ in self.nodes():
            if isinstance(node, ast.ResTarget) and node.name is not None:
                found.add(node.name)
            elif isinstance(node, ast.Alias | ast.CommonTableExpr):
                names = node.colnames if isinstance(node, ast.Alias) else node.aliascolnames
                found.update(name.sval for name in names or ())
        return frozenset(found)

    def unqualified(self) -> frozenset[str]:
        """Return the parameters that it names without itself where a column could be meant."""
        return frozenset(
            name
            for node, columns_in_reach in self.nodes()
            if columns_in_reach and (name := _name(node, self.language)) in self.parameters
        )


def routines(files: tuple[Path, ...]) -> dict[str, Routine]:
    """Parse the routines that these files create, by qualified name."""
    found: dict[str, Routine] = {}
    for file in files:
        text = file.read_text()
        # a position is a byte's
        source = text.encode()
        for raw in parse_sql(text):
            if isinstance(raw.stmt, ast.CreateFunctionStmt):
                end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(source)
                routine = _routine(raw.stmt, source[raw.stmt_location : end].decode())
                assert routine.name not in found, f"{routine.name} is made twice"
                found[routine.name] = routine
    return found


def _routine(statement: Any, text: str) -> Routine:
    options = {option.defname: option.arg for option in statement.options}
    language = options["language"].sval
    if statement.sql_body is not None:
        body = tuple(_flat(statement.sql_body))
    elif language == "sql":
        body = tuple(raw.stmt for raw in parse_sql(options["as"][0].sval))
    else:
        body = tuple(_plpgsql(text))
    return Routine(
        name=".".join(part.sval for part in statement.funcname),
        language=language,
        # what a routine returns is a variable in PL/pgSQL, and no name at all in SQL
        parameters=frozenset(
            parameter.name
            for parameter in statement.parameters or ()
            if parameter.name and (language == "plpgsql" or parameter.mode in _INPUT)
        ),
        body=body,
        bare_types=frozenset(
            declared
            for declarations in re.findall(r"\bDECLARE\n(.*?)\n *BEGIN\n", text, re.DOTALL)
            for declared in re.findall(
                r"(?m)^ +\w+ (?:CONSTANT )?(?!CONSTANT )(\w+)(?![.\w])", declarations
            )
            if declared not in _KEYWORDS
        ),
        pinned=statement.sql_body is not None
        or any(o.defname == "set" and o.arg.name == "search_path" for o in statement.options),
    )


def _flat(body: Any) -> Iterator[Any]:
    if isinstance(body, tuple | list):
        for part in body:
            yield from _flat(part)
    else:
        yield body


def _plpgsql(text: str) -> Iterator[Any]:
    # the parser knows no types but PostgreSQL's own; which type a variable has does not matter here
    head, begin, body = text.partition("\nBEGIN\n")
    assert begin, text
    head = re.sub(r"\bentasis(_internal)?\.\w+\[\]", "text[]", head)
    head = re.sub(
        r"(?<=[ (])(?<!FROM )(?<!JOIN )entasis(_internal)?\.\w+\b(?!\()(?=[,;\s]| :=)",
        "record",
        head,
    )
    for function in parse_plpgsql(_named(text, head) + begin + body):
        for expression in _expressions(function):
            query = expression["query"]
            mode = expression["parseMode"]
            if mode == 0:
                yield from (raw.stmt for raw in parse_sql(query))
            else:
                if mode > 2:  # an assignment, of which the right side is an expression
                    query = re.split(r":?=", query, maxsplit=1)[1]
                yield from (raw.stmt for raw in parse_sql("SELECT " + query))


def _named(text: str, head: str) -> str:
    # its name may look like a type
    name = re.search(r"(FUNCTION|PROCEDURE) ([\w.]+)", text)
    assert name, text
    return re.sub(r"(FUNCTION|PROCEDURE) [\w.]+", name[0], head, count=1)


def _expressions(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "PLpgSQL_expr":
                yield value
            else:
                yield from _expressions(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _expressions(value)


def _walk(node: Any, columns_in_reach: bool) -> Iterator[tuple[Any, bool]]:
    if isinstance(node, tuple | list):
        for part in node:
            yield from _walk(part, columns_in_reach)
    elif isinstance(node, ast.Node):
        inside = (
            columns_in_reach
            or isinstance(node, _STATEMENTS)
            or bool(getattr(node, "fromClause", None))
        )
        yield node, inside
        for attribute in node:
            # what an INSERT inserts does not see the columns of the table that it goes into
            is_source = isinstance(node, ast.InsertStmt) and attribute == "selectStmt"
            yield from _walk(getattr(node, attribute), columns_in_reach if is_source else inside)


def _name(node: Any, language: str) -> str | None:
    if isinstance(node, ast.ColumnRef):
        first = node.fields[0]
        return first.sval if len(node.fields) == 1 and isinstance(first, ast.String) else None
    # ON CONFLICT (column): a name that PL/pgSQL takes for its variable too
    if isinstance(node, ast.IndexElem) and language == "plpgsql":
        return node.name
    return None
