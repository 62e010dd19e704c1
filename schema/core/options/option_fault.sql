CREATE OR REPLACE FUNCTION entasis_internal.option_fault(
    underlying text, strike_price numeric, expiry_date timestamptz, option_type text,
    quoted_at timestamptz, iv numeric, delta numeric, gamma numeric, theta numeric, vega numeric,
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
    WHEN NOT (iv >= 0 AND iv < 1e6) OR min_scale(iv) > 18
        THEN
            ARRAY[
                'iv',
                format(
                    'the implied volatility %s is not from 0 to below 1e6 with at most 18 decimals',
                    iv
                )
            ]
    WHEN NOT (delta > -1e12 AND delta < 1e12) OR min_scale(delta) > 18
        THEN
            ARRAY[
                'delta',
                format('the delta %s is not between -1e12 and 1e12 with at most 18 decimals', delta)
            ]
    WHEN NOT (gamma > -1e12 AND gamma < 1e12) OR min_scale(gamma) > 18
        THEN
            ARRAY[
                'gamma',
                format('the gamma %s is not between -1e12 and 1e12 with at most 18 decimals', gamma)
            ]
    WHEN NOT (theta > -1e12 AND theta < 1e12) OR min_scale(theta) > 18
        THEN
            ARRAY[
                'theta',
                format('the theta %s is not between -1e12 and 1e12 with at most 18 decimals', theta)
            ]
    WHEN NOT (vega > -1e12 AND vega < 1e12) OR min_scale(vega) > 18
        THEN
            ARRAY[
                'vega',
                format('the vega %s is not between -1e12 and 1e12 with at most 18 decimals', vega)
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
'Why a quote cannot be stored in option_data, as {code, reason}. NULL: it can. lowest is the floor of option_data, latest the latest timestamp that is accepted.';
