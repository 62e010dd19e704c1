"""Small changes to the SQL that tests should notice: ``python -m tests.mutants``, outside CI."""
