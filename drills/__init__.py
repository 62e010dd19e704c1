"""Recovery, tried out on servers made for it: ``make recovery-drill``.

A real server is broken, and recovered by the commands of a page of docs/recovery/ alone. Then every
trade that a client was told to be stored is looked for, and every candle compared.
"""
