"""Write the files of monitoring/ that are made from its definitions: ``python -m monitoring``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from monitoring.dashboard import dashboard
from monitoring.exporters import pgwatch, postgres_exporter, sql_exporter

FOLDER = Path(__file__).resolve().parent

FILES: Mapping[str, Callable[[], str]] = {
    "postgres_exporter/queries.yaml": postgres_exporter,
    "sql_exporter/entasis.collector.yml": sql_exporter,
    "pgwatch/metrics.yaml": pgwatch,
    "grafana/dashboard.json": dashboard,
}

if __name__ == "__main__":
    for name, text in FILES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")
