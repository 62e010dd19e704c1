-- As PostgreSQL sends it: the text of a number takes ten times as long to make. The infinities have a text
-- too, but no form in Parquet: a range that holds one is not archived.
CREATE OR REPLACE FUNCTION entasis_internal.time_text(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN encode(timestamptz_send(moment), 'hex');

COMMENT ON FUNCTION entasis_internal.time_text IS
'Microseconds since 2000-01-01 UTC as a signed number of 64 bits, in 16 hexadecimal digits.';
