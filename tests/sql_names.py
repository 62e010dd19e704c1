"""The names in a statement that a schema of the session's search path may stand in for."""

import re
from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, SubLinkType

# the others find their operator by its bare name, and cannot be told another: IN, NULLIF, LIKE, ...
_TAKES_A_NAME = (
    A_Expr_Kind.AEXPR_OP,
    A_Expr_Kind.AEXPR_OP_ANY,
    A_Expr_Kind.AEXPR_OP_ALL,
)
_IDENTIFIER = "psycopg_identifier"  # of an object, it is qualified
_BY_TESTS = (SubLinkType.ANY_SUBLINK, SubLinkType.ALL_SUBLINK)


def unqualified_in(text: str) -> list[str]:
    """Return those of a text with psycopg's parameters, and with ``{}`` for identifiers."""
    text = text.replace("(\n{}\n)", "(SELECT 1)")
    text = re.sub(r"%\(\w+\)s|%s", "$1", text).replace("%%", "%")
    text = re.sub(r"\{\w*\}", _IDENTIFIER, text)
    return unqualified(tuple(raw.stmt for raw in parse_sql(text)))


def unqualified(tree: Any) -> list[str]:
    """Return those of a parsed statement, or of several, each as what it is and its name."""
    nodes = list(_nodes(tree))
    own = {node.ctename for node in nodes if isinstance(node, ast.CommonTableExpr)}
    own.add(_IDENTIFIER)
    return [name for node in nodes if (name := _of(node, own)) is not None]


def _of(node: Any, own: set[str]) -> str | None:
    match node:
        case ast.A_Expr() if node.kind not in _TAKES_A_NAME:
            return f"operator of {node.kind.name.removeprefix('AEXPR_')}"
        case ast.A_Expr() if len(node.name) == 1:
            return f"operator {node.name[0].sval}"
        case ast.FuncCall() if len(node.funcname) == 1:
            return f"function {node.funcname[0].sval}"
        case ast.TypeName() if node.names and len(node.names) == 1:
            return f"type {node.names[0].sval}"
        case ast.CollateClause() if len(node.collname) == 1:
            return f"collation {node.collname[0].sval}"
        case ast.RangeVar() if node.schemaname is None and node.relname not in own:
            return f"relation {node.relname}"
        case ast.CaseExpr() if node.arg is not None:
            return "operator of CASE"
        case ast.JoinExpr() if node.isNatural or node.usingClause:
            return "operator of USING"
        case ast.SubLink() if node.subLinkType in _BY_TESTS and node.operName is None:
            return "operator of IN"
        case ast.SubLink() if node.operName is not None and len(node.operName) == 1:
            return f"operator {node.operName[0].sval}"
    return None


def _nodes(tree: Any) -> Iterator[Any]:
    if isinstance(tree, tuple | list):
        for part in tree:
            yield from _nodes(part)
    elif isinstance(tree, ast.Node):
        yield tree
        for name in tree:
            yield from _nodes(getattr(tree, name))
