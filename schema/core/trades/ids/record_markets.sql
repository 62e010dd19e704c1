-- A batch whose ids rise with its times, with a smaller id stored before it, a larger one after it and
-- nothing in between, repeats no id, as long as ids rise in its market. In a market that is told in several
-- units of time, the trades within the coarsest are out of order: those with ids of the batch are looked for. Of digests,
-- which never rise, nothing else is asked.
CREATE OR REPLACE FUNCTION entasis.record_markets(
    source_name text,
    symbols text[],
    exchanges text[],
    id_spaces text[],
    time_units text[],
    first_times timestamptz[],
    last_times timestamptz[],
    first_ids bigint[],
    last_ids bigint[],
    rising boolean[]
) RETURNS TABLE (symbol text, exchange text, id_space text, recorded text, may_repeat boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- planning for the values of a batch, in all partitions, takes ten times as long as looking
SET plan_cache_mode = 'force_generic_plan'
AS $$
BEGIN
    RETURN QUERY
    WITH batches AS MATERIALIZED (
        SELECT b.*, entasis.record_id_space(
            b.symbol, b.exchange, b.id_space, source_name, b.time_unit
        ) AS recorded
        FROM unnest(
            symbols, exchanges, id_spaces, record_markets.time_units, first_times, last_times,
            first_ids, last_ids, rising
        ) AS b (
            symbol, exchange, id_space, time_unit, first_time, last_time, first_id, last_id, rises
        )
    )
    SELECT b.symbol, b.exchange, b.id_space, b.recorded,
        entasis_internal.is_exchange_id(b.id_space) AND (
            NOT b.rises
            OR coalesce(before.id >= b.first_id, false)
            OR coalesce(after.id <= b.last_id, false)
            OR coalesce(nearby.found, false)
        )
        OR (b.id_space = 'digest' AND coalesce(nearby.found, false))
    FROM batches AS b
    LEFT JOIN entasis.markets AS m ON b.symbol = m.symbol AND b.exchange = m.exchange
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN 's' = ANY (m.time_units) THEN interval '1 second' ELSE interval '1 millisecond'
        END AS span
    ) AS coarsest
    LEFT JOIN LATERAL (
        SELECT t.id
        FROM entasis_internal.previous_trade(b.symbol, b.exchange, b.last_time, b.last_id) AS t
        WHERE m.ids_rise IS NOT FALSE
    ) AS before ON true
    LEFT JOIN LATERAL (
        SELECT t.id
        FROM entasis_internal.next_trade(b.symbol, b.exchange, b.first_time, b.first_id) AS t
        WHERE m.ids_rise IS NOT FALSE
    ) AS after ON true
    LEFT JOIN LATERAL (
        SELECT true AS found FROM entasis.market_data AS d
        WHERE d.symbol = b.symbol AND d.exchange = b.exchange
            AND d.timestamp >= b.first_time - coarsest.span
            AND d.timestamp <= b.last_time + coarsest.span
            AND d.id BETWEEN b.first_id AND b.last_id
            AND cardinality(m.time_units) > 1
        LIMIT 1
    ) AS nearby ON true;
    -- see refuse_repeated_ids()
    PERFORM set_config('entasis.trade_ids', pg_current_xact_id()::text, true);
END
$$;

COMMENT ON FUNCTION entasis.record_markets IS
'Announces a batch of trades: records its markets with record_id_space(), and says of each whether it may repeat ids that are stored at other times, so that its trades must go through insert_staged_trades(). The arrays have one element per market: of its trades the first and last time and id in the order of the key, the unit in which the source states times (NULL: it does not say), and whether ids rise strictly with (timestamp, id). recorded is the id space on record: callers refuse trades of any other; NULL: try again.';
