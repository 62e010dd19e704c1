"""Histories drawn from a seed, run against a server and a model in plain Python: ``make soak``.

A history is a list of plain values: it can be printed, repeated, and made shorter by leaving steps
out. ``drawing`` draws one, ``model`` says what has to come of each step, of trades; ``quotes`` and
``published`` (candles of exchanges) say it of theirs and load them. ``writers`` and ``lifecycle``
take the step, ``clients`` kills and interleaves them, ``state`` reads what is there,
``checks`` compares it with the model after each step, and ``plants`` holds faults to be found.
"""
