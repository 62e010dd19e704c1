COMMENT ON TABLE entasis.thresholds IS
'From which value on each check of entasis.health warns, or is critical. A DBA updates the rows, and migrations never reset them: a row that is deleted comes back with its default.';
COMMENT ON COLUMN entasis.thresholds.check_name IS
'The check, as entasis.health names it.';
COMMENT ON COLUMN entasis.thresholds.warning IS
'The value at which the check warns, in its unit: this or more, or this or less where less is worse. NULL: it never warns.';
COMMENT ON COLUMN entasis.thresholds.critical IS
'The value at which the check is critical, in the same way. NULL: it never is.';
