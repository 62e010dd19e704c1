"""``python -m entasis_db``: the command ``entasis``."""

from entasis_db.cli import main

main()
