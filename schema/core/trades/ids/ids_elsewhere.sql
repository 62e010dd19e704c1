-- Two probes of the key say whether the trades around the range have smaller and larger ids. Only where they
-- have not, a binary search over time finds where the ids begin or end, to a second: trades told in seconds or
-- milliseconds lie before earlier ones told in microseconds.
CREATE OR REPLACE FUNCTION entasis_internal.ids_elsewhere(
    symbol_name text, exchange_name text,
    first_time timestamptz, last_time timestamptz, first_id bigint, last_id bigint
) RETURNS tstzmultirange
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found record;
    low timestamptz;
    high timestamptz;
    middle timestamptz;
    elsewhere tstzmultirange := '{}';
BEGIN
    SELECT d.timestamp, d.id INTO found FROM entasis.market_data AS d
    WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.timestamp < ids_elsewhere.first_time
    ORDER BY d.timestamp DESC, d.id DESC LIMIT 1;
    IF found.id >= first_id THEN
        -- the earliest trade whose id is not smaller
        high := found.timestamp;
        SELECT d.timestamp INTO low FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name
        ORDER BY d.timestamp, d.id LIMIT 1;
        WHILE low < high LOOP
            middle := low + (high - low) / 2;
            SELECT d.timestamp, d.id INTO found FROM entasis.market_data AS d
            WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.timestamp >= middle
            ORDER BY d.timestamp, d.id LIMIT 1;
            IF found.id >= first_id THEN
                high := middle;
            ELSE
                low := found.timestamp + interval '1 microsecond';
            END IF;
        END LOOP;
        elsewhere := elsewhere + tstzmultirange(
            tstzrange(high - interval '1 second', ids_elsewhere.first_time)
        );
    END IF;

    SELECT d.timestamp, d.id INTO found FROM entasis.market_data AS d
    WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.timestamp > ids_elsewhere.last_time
    ORDER BY d.timestamp, d.id LIMIT 1;
    IF found.id <= last_id THEN
        -- the latest trade whose id is not larger
        low := found.timestamp;
        SELECT d.timestamp INTO high FROM entasis.market_data AS d
        WHERE d.symbol = symbol_name AND d.exchange = exchange_name
        ORDER BY d.timestamp DESC, d.id DESC LIMIT 1;
        WHILE low < high LOOP
            middle := high - (high - low) / 2;
            SELECT d.timestamp, d.id INTO found FROM entasis.market_data AS d
            WHERE d.symbol = symbol_name AND d.exchange = exchange_name AND d.timestamp <= middle
            ORDER BY d.timestamp DESC, d.id DESC LIMIT 1;
            IF found.id <= last_id THEN
                low := middle;
            ELSE
                high := found.timestamp - interval '1 microsecond';
            END IF;
        END LOOP;
        elsewhere := elsewhere + tstzmultirange(
            tstzrange(ids_elsewhere.last_time, low + interval '1 second', '(]')
        );
    END IF;
    RETURN elsewhere;
END
$$;

COMMENT ON FUNCTION entasis_internal.ids_elsewhere IS
'Where trades of a market with ids in [first_id, last_id] are stored before first_time or after last_time, if its ids rise with time. Empty: nowhere.';
