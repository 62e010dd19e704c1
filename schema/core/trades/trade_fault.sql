-- STABLE and without settings, so that it is inlined instead of called for each row, which takes ten times as long.
-- sign_fits and is_reopened are expressions that call functions: each may stand here only once, or nothing is inlined.
CREATE OR REPLACE FUNCTION entasis_internal.trade_fault(
    symbol text, exchange text, traded_at timestamptz, trade_id bigint, price numeric,
    volume numeric, side text, source_id text, excluded text, names_fit boolean,
    sign_fits boolean, lowest timestamptz, is_reopened boolean, latest timestamptz
) RETURNS text[]
LANGUAGE sql STABLE
RETURN CASE
    WHEN NOT names_fit AND entasis_internal.name_fault('symbol', symbol) IS NOT NULL
        THEN ARRAY['symbol', entasis_internal.name_fault('symbol', symbol)]
    WHEN NOT names_fit AND entasis_internal.name_fault('exchange', exchange) IS NOT NULL
        THEN ARRAY['exchange', entasis_internal.name_fault('exchange', exchange)]
    WHEN trade_id IS NULL
        THEN ARRAY['id', 'the id is missing']
    WHEN price <= 0 AND price > -1e20 AND NOT sign_fits
        THEN
            ARRAY[
                'price',
                format('the price %s is not above 0, and its market is no combo or spread', price)
            ]
    WHEN NOT (price > -1e20 AND price < 1e20)
        THEN ARRAY['price', format('the price %s is not between -1e20 and 1e20', price)]
    WHEN min_scale(price) > 18
        THEN
            ARRAY[
                'price',
                format(
                    'the price %s has %s decimals; 18 fit, and none is rounded away',
                    price,
                    min_scale(price)
                )
            ]
    WHEN NOT (volume > 0 AND volume < 1e20)
        THEN ARRAY['volume', format('the volume %s is not above 0 and below 1e20', volume)]
    WHEN min_scale(volume) > 18
        THEN
            ARRAY[
                'volume',
                format(
                    'the volume %s has %s decimals; 18 fit, and none is rounded away',
                    volume,
                    min_scale(volume)
                )
            ]
    WHEN side NOT IN ('buy', 'sell')
        THEN ARRAY['side', format('the side "%s" is neither buy nor sell', side)]
    WHEN length(source_id) > 128
        THEN
            ARRAY[
                'source_id',
                format('the source''s id has %s characters; 128 fit', length(source_id))
            ]
    WHEN
        source_id = ''
        OR source_id
        ~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
        THEN
            ARRAY[
                'source_id',
                format(
                    'the source''s id %s is empty, or has a space at an end or a hidden character',
                    to_json(source_id)
                )
            ]
    WHEN excluded !~ '^[a-z][a-z0-9_]{0,31}$'
        THEN ARRAY['excluded', format('the kind "%s" is no word of a-z, 0-9 and _', excluded)]
    WHEN traded_at < '2009-01-01 00:00:00+00'
        THEN
            ARRAY[
                'timestamp',
                format(
                    '%s lies before 2009; is the unit of time right?', traded_at AT TIME ZONE 'UTC'
                )
            ]
    WHEN traded_at > latest
        THEN
            ARRAY[
                'timestamp',
                format(
                    '%s lies in the future; is the unit of time right?',
                    traded_at AT TIME ZONE 'UTC'
                )
            ]
    WHEN traded_at < lowest AND NOT is_reopened
        THEN ARRAY['past_retention', format(
            '%s is past the keep period: market_data was dropped up to %s UTC',
            traded_at AT TIME ZONE 'UTC', lowest AT TIME ZONE 'UTC'
        )]
END;

COMMENT ON FUNCTION entasis_internal.trade_fault IS
'Why a trade cannot be stored in market_data, as {code, reason}. NULL: it can. names_fit: whether symbol and exchange are known to be names that fit; if false, they are looked at. sign_fits: whether the price may be 0 or below, as has_signed_prices() says, or is not. lowest is the floor of market_data; is_reopened: whether the trade may be written although it lies below. latest is the latest timestamp that is accepted.';
