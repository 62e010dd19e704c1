-- The checksum is the sum of a 128-bit digest of each row, so that it does not depend on their order. It
-- detects accidental changes; it does not resist somebody who searches for a collision.
CREATE OR REPLACE FUNCTION entasis_internal.count_and_checksum(
    source_table regclass,
    relation_name text,
    from_time timestamptz,
    to_time timestamptz,
    OUT row_count bigint,
    OUT checksum numeric
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    row_text text;
    time_column text;
BEGIN
    IF relation_name = 'market_data' THEN
        time_column := 'timestamp';
        row_text := 'entasis_internal.trade_text(r.symbol, r.exchange, r.timestamp, r.id, r.price, r.volume, r.created_at, r.side, r.source_id, r.excluded)';
    ELSIF relation_name = 'option_data' THEN
        time_column := 'timestamp';
        row_text := 'entasis_internal.quote_text(r.underlying, r.expiry_date, r.strike_price, r.option_type, r.timestamp, r.id, r.iv, r.delta, r.gamma, r.theta, r.vega, r.bid_price, r.ask_price, r.mark_price, r.bid_iv, r.ask_iv, r.underlying_price, r.open_interest, r.rho)';
    ELSIF relation_name = 'exchange_candles' THEN
        time_column := 'bucket';
        row_text := 'entasis_internal.exchange_candle_text(r.symbol, r.exchange, r.interval, r.bucket, r.open, r.high, r.low, r.close, r.volume, r.quote_volume, r.trades, r.source)';
    ELSE
        time_column := 'bucket';
        row_text := 'entasis_internal.candle_text(r.symbol, r.exchange, r.bucket, r.open, r.high, r.low, r.close, r.volume, r.quote_volume, r.trades, r.opened_at, r.first_trade_id, r.closed_at, r.last_trade_id)';
    END IF;
    -- Signed halves, as Python unpacks them. OFFSET keeps the digest from being computed twice a row; 0 without
    -- quotation marks is no constant yet when the planner asks for one, and would forbid a parallel plan.
    EXECUTE format(
        'SELECT count(*), coalesce(
            sum(h.digest::bit(64)::bigint) * 18446744073709551616
            + sum((h.digest << 64)::bit(64)::bigint), 0)
        FROM (
            SELECT (''x'' || md5(%s))::bit(128) AS digest
            FROM %s AS r WHERE r.%I >= %L AND r.%I < %L OFFSET ''0''
        ) AS h',
        -- in UTF8 the text is what convert_to() would make of it, and that costs as much as the digest
        CASE getdatabaseencoding() WHEN 'UTF8' THEN row_text ELSE format('convert_to(%s, ''UTF8'')', row_text) END,
        source_table, time_column, from_time, time_column, to_time
    ) INTO row_count, checksum;
END
$$;

COMMENT ON FUNCTION entasis_internal.count_and_checksum IS
'Number of rows in [from_time, to_time) of a table that has the columns of a relation, and a checksum of them that is independent of their order and of trailing zeros. 0 and 0 if there are none.';
