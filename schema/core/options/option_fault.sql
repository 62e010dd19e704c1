CREATE OR REPLACE FUNCTION entasis_internal.option_fault(
    underlying text, strike_price numeric, expiry_date timestamptz, option_type text,
    quoted_at timestamptz, bid_price numeric, ask_price numeric, mark_price numeric,
    underlying_price numeric, open_interest numeric,
    lowest timestamptz, latest timestamptz
) RETURNS text[]
LANGUAGE sql STABLE
RETURN CASE
    WHEN entasis_internal.name_fault('underlying', underlying) IS NOT NULL
        THEN ARRAY['underlying', entasis_internal.name_fault('underlying', underlying)]
    WHEN option_type NOT IN ('call', 'put')
        THEN
            ARRAY[
                'option_type', format('the option type "%s" is neither call nor put', option_type)
            ]
    WHEN NOT (strike_price > 0 AND strike_price < 1e12) OR min_scale(strike_price) > 12
        THEN
            ARRAY[
                'strike_price',
                format(
                    'the strike price %s is not above 0 and below 1e12 with at most 12 decimals',
                    strike_price
                )
            ]
    WHEN expiry_date < '0001-01-01 00:00:00+00' OR expiry_date >= '10000-01-01 00:00:00+00'
        THEN ARRAY['expiry_date', 'the expiry date is not within the years 1 to 9999']
    WHEN NOT (bid_price >= 0 AND bid_price < 1e20) OR min_scale(bid_price) > 18
        THEN
            ARRAY[
                'bid_price',
                format(
                    'the bid price %s is not from 0 to below 1e20 with at most 18 decimals',
                    bid_price
                )
            ]
    WHEN NOT (ask_price >= 0 AND ask_price < 1e20) OR min_scale(ask_price) > 18
        THEN
            ARRAY[
                'ask_price',
                format(
                    'the ask price %s is not from 0 to below 1e20 with at most 18 decimals',
                    ask_price
                )
            ]
    WHEN NOT (mark_price >= 0 AND mark_price < 1e20) OR min_scale(mark_price) > 18
        THEN
            ARRAY[
                'mark_price',
                format(
                    'the mark price %s is not from 0 to below 1e20 with at most 18 decimals',
                    mark_price
                )
            ]
    WHEN NOT (underlying_price >= 0 AND underlying_price < 1e20) OR min_scale(underlying_price) > 18
        THEN
            ARRAY[
                'underlying_price',
                format(
                    'the underlying price %s is not from 0 to below 1e20 with at most 18 decimals',
                    underlying_price
                )
            ]
    WHEN NOT (open_interest >= 0 AND open_interest < 1e20) OR min_scale(open_interest) > 18
        THEN
            ARRAY[
                'open_interest',
                format(
                    'the open interest %s is not from 0 to below 1e20 with at most 18 decimals',
                    open_interest
                )
            ]
    WHEN quoted_at < '2009-01-01 00:00:00+00'
        THEN
            ARRAY[
                'timestamp',
                format(
                    '%s lies before 2009; is the unit of time right?', quoted_at AT TIME ZONE 'UTC'
                )
            ]
    WHEN quoted_at > latest
        THEN
            ARRAY[
                'timestamp',
                format(
                    '%s lies in the future; is the unit of time right?',
                    quoted_at AT TIME ZONE 'UTC'
                )
            ]
    WHEN quoted_at < lowest
        THEN ARRAY['past_retention', format(
            '%s is past the keep period: option_data was dropped up to %s UTC',
            quoted_at AT TIME ZONE 'UTC', lowest AT TIME ZONE 'UTC'
        )]
END;

COMMENT ON FUNCTION entasis_internal.option_fault IS
'Why a quote cannot be stored in option_data, as {code, reason}. NULL: it can, once round_staged_options() has seen its volatilities and greeks. lowest is the floor of option_data, latest the latest timestamp that is accepted.';
