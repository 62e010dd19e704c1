"""The metrics in the words of postgres_exporter, sql_exporter and pgwatch."""

from typing import Any

import yaml

from monitoring.metrics import QUERIES, Query

__all__ = ["pgwatch", "postgres_exporter", "sql_exporter"]

_OLDEST_SERVER = 15
"""Major version of PostgreSQL from which on pgwatch uses the queries."""


class _Dumper(yaml.SafeDumper):
    """YAML with queries as they are, line by line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(definitions: Any) -> str:
    text = yaml.dump(definitions, Dumper=_Dumper, sort_keys=False, width=1000)
    return f"# written by python -m monitoring\n{text}"


def postgres_exporter() -> str:
    """Return a file for ``--extend.query-path``."""
    return _yaml({query.name: _custom_query(query) for query in QUERIES})


def _custom_query(query: Query) -> dict[str, Any]:
    columns = [
        *({name: {"usage": "LABEL", "description": text}} for name, text in query.labels.items()),
        *({name: {"usage": "GAUGE", "description": text}} for name, text in query.gauges.items()),
    ]
    return {"query": query.sql, "metrics": columns}


def sql_exporter() -> str:
    """Return a file for ``collector_files`` of burningalchemist's sql_exporter."""
    return _yaml(
        {
            "collector_name": "entasis",
            "metrics": [
                {
                    "metric_name": f"{query.name}_{gauge}",
                    "type": "gauge",
                    "help": text,
                    "key_labels": list(query.labels),
                    "values": [gauge],
                    "query_ref": query.name,
                }
                for query in QUERIES
                for gauge, text in query.gauges.items()
            ],
            "queries": [{"query_name": query.name, "query": query.sql} for query in QUERIES],
        }
    )


def pgwatch() -> str:
    """Return a file for ``--metrics`` of pgwatch, with a preset of the same name."""
    return _yaml(
        {
            "metrics": {query.name: _measurement(query) for query in QUERIES},
            "presets": {
                "entasis": {
                    "description": "health of Entasis DB",
                    "metrics": {query.name: 30 for query in QUERIES},
                }
            },
        }
    )


def _measurement(query: Query) -> dict[str, Any]:
    columns = [
        "(extract(EPOCH FROM pg_catalog.now()) * 1e9)::bigint AS epoch_ns",
        *(f'm."{name}" AS tag_{name}' for name in query.labels),
        *(f"m.{name}" for name in query.gauges),
    ]
    inner = "".join(f"    {line}".rstrip() + "\n" for line in query.sql.splitlines())
    sql = "SELECT\n    " + ",\n    ".join(columns) + f"\nFROM (\n{inner}) AS m\n"
    return {
        "description": " ".join(query.gauges.values()),
        "sqls": {_OLDEST_SERVER: sql},
        "gauges": ["*"],
    }
