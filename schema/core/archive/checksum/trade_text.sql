-- Equal content gives equal text: numbers are written as whole multiples of their smallest unit, without
-- trailing zeros, and each text that may hold a comma, but the last, is preceded by its length. concat_ws()
-- leaves NULLs out, so each has a text of its own. It is inlined into the query;
-- entasis_db/archive/layout.py builds the same text from Parquet.
CREATE OR REPLACE FUNCTION entasis_internal.trade_text(
    symbol text,
    exchange text,
    traded_at timestamptz,
    id bigint,
    price numeric,
    volume numeric,
    created_at timestamptz,
    side text,
    source_id text,
    excluded text
) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN concat_ws(
    ',',
    entasis_internal.time_text(traded_at),
    id,
    trim_scale(price * 1e18),
    trim_scale(volume * 1e18),
    entasis_internal.time_text(created_at),
    coalesce(side, ''),
    coalesce(length(source_id) || ',' || source_id, ''),
    coalesce(excluded, ''),
    length(symbol),
    symbol,
    exchange
);

COMMENT ON FUNCTION entasis_internal.trade_text IS
'The content of a trade, when it was stored included, as the text that an archive''s checksum is made of.';
