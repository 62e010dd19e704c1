-- Without statistics of the staging table, a nested loop would be chosen for any number of rows.
CREATE OR REPLACE FUNCTION entasis_internal.match_staged_trades(source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET enable_nestloop = off
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    market record;
    elsewhere tstzmultirange;
    piece tstzrange;
    refused bigint;
    disordered boolean;
BEGIN
    FOR market IN
        SELECT s.symbol, s.exchange, u.time_unit, m.ids_rise, coalesce(m.time_units, '{}') AS units,
            min(s.timestamp) AS first_time, max(s.timestamp) AS last_time,
            min(s.id) AS first_id, max(s.id) AS last_id
        FROM pg_temp.entasis_staged_trades AS s
        LEFT JOIN entasis.markets AS m ON s.symbol = m.symbol AND s.exchange = m.exchange
        LEFT JOIN pg_temp.entasis_staged_units AS u
            ON s.symbol = u.symbol AND s.exchange = u.exchange
        WHERE entasis_internal.is_exchange_id(m.id_space)
        GROUP BY s.symbol, s.exchange, u.time_unit, m.ids_rise, m.time_units
        ORDER BY s.symbol, s.exchange
    LOOP
        elsewhere := '{}';
        IF market.ids_rise IS NOT FALSE THEN
            elsewhere := entasis_internal.ids_elsewhere(
                market.symbol, market.exchange, market.first_time, market.last_time,
                market.first_id, market.last_id
            );
        END IF;
        disordered := elsewhere <> '{}';

        FOR piece IN
            SELECT unnest(elsewhere + tstzmultirange(tstzrange(
                market.first_time - interval '1 second', market.last_time + interval '1 second',
                '[]'
            )))
        LOOP
            refused := entasis_internal.match_stored_trades(
                source_name, market.time_unit, market.units, market.symbol, market.exchange,
                lower(piece), upper(piece)
            );
            disordered := disordered AND refused = 0;
        END LOOP;

        PERFORM entasis_internal.match_repeated_lines(
            source_name, market.time_unit, market.units, market.symbol, market.exchange
        );

        -- of several units, one is out of order with the other
        IF market.ids_rise IS NULL AND cardinality(market.units) < 2 THEN
            SELECT disordered OR coalesce(bool_or(o.id <= o.id_before), false) INTO disordered
            FROM (
                SELECT s.id, lag(s.id) OVER (ORDER BY s.timestamp, s.id) AS id_before
                FROM (
                    SELECT DISTINCT t.timestamp, t.id FROM pg_temp.entasis_staged_trades AS t
                    WHERE t.symbol = market.symbol AND t.exchange = market.exchange
                ) AS s
            ) AS o;
            IF disordered THEN
                PERFORM entasis_internal.record_disorder(market.symbol, market.exchange);
            END IF;
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis_internal.match_staged_trades IS
'Finds the trades of pg_temp.entasis_staged_trades whose id is stored or staged at another time, in markets whose ids are the exchange''s. A trade of the same moment, price, volume and side gets the time that is stored, so that it is there already; any other goes to quarantine.';
