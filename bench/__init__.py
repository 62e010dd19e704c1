"""The benchmark of Entasis DB: ratios taken side by side in one run, never bare seconds.

``python -m bench`` (or ``make bench``) measures on a temporary PostgreSQL cluster with durable
settings, or in databases of its own on the server of DATABASE_URL.
"""
