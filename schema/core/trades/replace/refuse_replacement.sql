-- The first line of each kind is named: whoever mends a file looks for a line.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_replacement(
    from_time timestamptz, to_time timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    faulty record;
    lowest timestamptz;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'market_data';
    SELECT s.line, s.symbol, s.exchange, s.timestamp, j.fault INTO faulty
    FROM pg_temp.entasis_staged_trades AS s
    CROSS JOIN LATERAL (
        SELECT entasis_internal.trade_fault(
            s.symbol, s.exchange, s.timestamp, s.id, s.price, s.volume, s.side,
            s.source_id, s.excluded,
            false,
            entasis_internal.has_signed_prices(s.symbol, s.exchange),
            lowest,
            entasis_internal.is_reopened('market_data', s.symbol, s.exchange, s.timestamp),
            -- allowance for differing clocks
            clock_timestamp() + interval '5 minutes'
        ) AS fault
    ) AS j
    WHERE j.fault IS NOT NULL
    ORDER BY s.line LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING
            MESSAGE = format('line %s: %s: %s', faulty.line, faulty.fault[1], faulty.fault[2]),
            HINT = CASE faulty.fault[1]
                WHEN 'past_retention' THEN entasis_internal.reopening_hint(
                    faulty.symbol, faulty.exchange, faulty.timestamp
                )
                ELSE 'Correct the file: a replacement takes all of its lines or none.'
            END;
    END IF;

    SELECT s.line, s.timestamp INTO faulty FROM pg_temp.entasis_staged_trades AS s
    WHERE s.timestamp < refuse_replacement.from_time OR s.timestamp >= refuse_replacement.to_time
    ORDER BY s.line LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING
            MESSAGE = format(
                'line %s: %s does not lie in the range [%s, %s) that is to be replaced',
                faulty.line, faulty.timestamp, from_time, to_time
            ),
            HINT = 'Give a range that holds all trades of the file.';
    END IF;

    SELECT m.symbol, m.exchange, m.id_space INTO faulty FROM entasis.markets AS m
    WHERE refuse_replacement.from_time IS NULL AND NOT entasis_internal.is_exchange_id(m.id_space)
        AND EXISTS (
            SELECT FROM pg_temp.entasis_staged_trades AS s
            WHERE s.symbol = m.symbol AND s.exchange = m.exchange
        )
    ORDER BY m.symbol, m.exchange LIMIT 1;
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format(
                'ids of %s %s are of the space %s, unique only within a timestamp: they do not say which stored trades are to be replaced',
                faulty.exchange, faulty.symbol, faulty.id_space
            ),
            HINT = 'Give the range of time that the file holds as a whole (--from and --to): all trades of its markets in there are replaced.';
    END IF;

    SELECT k.line, k.first_line, k.id INTO faulty
    FROM (
        SELECT s.line, s.id, s.timestamp, s.price, s.volume, s.side, s.source_id, first_value(s.line) OVER w AS first_line,
            first_value(s.timestamp) OVER w AS first_time, first_value(s.price) OVER w AS first_price,
            first_value(s.volume) OVER w AS first_volume, first_value(s.side) OVER w AS first_side,
            first_value(s.source_id) OVER w AS first_source_id
        FROM pg_temp.entasis_staged_trades AS s
        LEFT JOIN entasis.markets AS m ON s.symbol = m.symbol AND s.exchange = m.exchange
        WINDOW w AS (
            PARTITION BY s.symbol, s.exchange, s.id,
            CASE WHEN NOT entasis_internal.is_exchange_id(m.id_space) THEN s.timestamp END
            ORDER BY s.line
        )
    ) AS k
    WHERE (k.timestamp, k.price, k.volume) <> (k.first_time, k.first_price, k.first_volume)
        OR k.side IS DISTINCT FROM k.first_side OR k.source_id IS DISTINCT FROM k.first_source_id
    ORDER BY k.line LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING
            MESSAGE = format(
                'line %s: the trade %s stands in line %s too, with another time, price, volume or side',
                faulty.line, faulty.id, faulty.first_line
            ),
            HINT = 'Correct the file: a replacement takes all of its lines or none.';
    END IF;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_replacement IS
'Raises check_violation if a trade of pg_temp.entasis_staged_trades cannot be stored, lies outside of [from_time, to_time) (NULL: no range), or is told twice and differently; object_not_in_prerequisite_state if ids are unique only within a timestamp and there is no range.';
