"""Metrics of Entasis DB for Prometheus: what is measured, for three exporters, and a dashboard."""
