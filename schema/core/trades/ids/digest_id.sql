-- bit(64) shifts zeros in, where a bigint below 0 would keep its sign. entasis_db.ids.digest_id() does the same.
CREATE OR REPLACE FUNCTION entasis.digest_id(source_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ((
    'x' || left(encode(sha256(convert_to(source_id, 'UTF8')), 'hex'), 16)
)::bit(64) >> 1)::bigint;

COMMENT ON FUNCTION entasis.digest_id IS
'The id of a trade whose source numbers trades by other text than 64-bit integers: the first 63 bits of the SHA-256 of the text in UTF-8. Its market has the id space digest, and market_data.source_id keeps the text.';
