"""``python -m entasis_db.cli``: the command ``entasis``."""

from entasis_db.cli import main

main()
