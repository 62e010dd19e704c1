-- The trades around the range usually have smaller and larger ids. Only where they have not, a binary search over time
-- finds where the ids begin or end, to a second: trades told in seconds or milliseconds lie before earlier ones told in
-- microseconds.
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
    smallest CONSTANT bigint := -9223372036854775808;
    largest CONSTANT bigint := 9223372036854775807;
BEGIN
    SELECT t.* INTO found FROM entasis_internal.previous_trade(
        symbol_name, exchange_name, ids_elsewhere.first_time, smallest
    ) AS t;
    IF found.id >= first_id THEN
        -- the earliest trade whose id is not smaller
        high := found.traded_at;
        SELECT t.traded_at INTO low FROM entasis_internal.next_trade(
            symbol_name, exchange_name, '-infinity', largest
        ) AS t;
        WHILE low < high LOOP
            middle := low + (high - low) / 2;
            SELECT t.* INTO found FROM entasis_internal.next_trade(
                symbol_name, exchange_name, middle - interval '1 microsecond', largest
            ) AS t;
            IF found.id >= first_id THEN
                high := middle;
            ELSE
                low := found.traded_at + interval '1 microsecond';
            END IF;
        END LOOP;
        elsewhere := elsewhere + tstzmultirange(
            tstzrange(high - interval '1 second', ids_elsewhere.first_time)
        );
    END IF;

    SELECT t.* INTO found FROM entasis_internal.next_trade(
        symbol_name, exchange_name, ids_elsewhere.last_time, largest
    ) AS t;
    IF found.id <= last_id THEN
        -- the latest trade whose id is not larger
        low := found.traded_at;
        SELECT t.traded_at INTO high FROM entasis_internal.previous_trade(
            symbol_name, exchange_name, 'infinity', smallest
        ) AS t;
        WHILE low < high LOOP
            middle := high - (high - low) / 2;
            SELECT t.* INTO found FROM entasis_internal.previous_trade(
                symbol_name, exchange_name, middle + interval '1 microsecond', smallest
            ) AS t;
            IF found.id <= last_id THEN
                low := middle;
            ELSE
                high := found.traded_at - interval '1 microsecond';
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
