-- Triggers on shards call these, so every node has them. When they were made first, Citus took some of them for circular.
DO $functions$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT pg_get_functiondef(p.oid) AS definition, p.oid
        FROM pg_proc AS p
        WHERE p.pronamespace IN ('entasis'::regnamespace, 'entasis_internal'::regnamespace)
            AND (
                p.proname IN (
                    SELECT w.name FROM (VALUES
            ('market_data_inserted'), ('market_data_updated'), ('market_data_deleted'),
            ('record_moved_trade'), ('take_moved_trades'), ('refuse_price_sign'), ('refuse_repeated_ids'),
            ('option_data_touched'), ('refuse_truncate'),
            ('trades_kept_from'), ('checked_size'), ('shard_copy'), ('candles_known_from'), ('known_again'), ('is_known_below_floor'), ('stored_level'), ('candle_step'),
            ('refuse_below_floor'), ('check_price_sign'), ('has_signed_prices'),
            ('known_instrument'), ('name_fault'), ('is_exchange_id'), ('is_same_moment'), ('ids_elsewhere'),
            ('previous_trade'), ('next_trade'), ('record_traded_market'), ('record_traded_markets'),
            ('shard_of'), ('roll_up'), ('candle_placeholders'), ('trade_order'),
            ('merge_level'), ('merge_candles'), ('lock_candles'), ('record_recomputing'), ('is_recomputing'),
            ('time_text'), ('trade_text'), ('quote_text'), ('candle_text'), ('exchange_candle_text'),
            ('candle_faults_of_symbol'), ('newest_quotes_of_shard'), ('refuse_elsewhere'), ('trade_counts'), ('minutes_of_day'),
            ('rebuild_day_of_shard'), ('recompute_market_day'), ('recompute_level'), ('recompute_candles')
        ) AS w (name)
                )
                -- every node has the views of distributed tables, and what they call
                OR p.oid IN (
                    SELECT u.refobjid
                    FROM pg_rewrite AS r
                    INNER JOIN pg_depend AS u
                        ON u.classid = 'pg_rewrite'::regclass AND u.objid = r.oid
                        AND u.refclassid = 'pg_proc'::regclass
                    INNER JOIN pg_depend AS t
                        ON t.classid = 'pg_rewrite'::regclass AND t.objid = r.oid
                        AND t.refclassid = 'pg_class'::regclass
                    INNER JOIN pg_dist_partition AS d ON t.refobjid = d.logicalrelid
                )
            )
        ORDER BY p.oid
    LOOP
        EXECUTE f.definition;
    END LOOP;
END
$functions$;

DO $delegation$
BEGIN
    PERFORM create_distributed_function(
        'entasis_internal.rebuild_day_of_shard(text, text, timestamptz, boolean)', 'symbol_name',
        colocate_with => 'entasis.market_data', force_delegation => true
    );
    PERFORM create_distributed_function(
        'entasis_internal.recompute_market_day(text, text, timestamptz)', 'symbol_name',
        colocate_with => 'entasis.market_data', force_delegation => true
    );
END
$delegation$;
