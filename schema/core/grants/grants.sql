-- All rights are granted here, after revoking all: what was granted by hand on these objects is revoked by
-- the next migration run. docs/rights.md lists the result.
-- What was granted with the right to grant it on goes with what was granted on. What somebody else has made in these
-- schemas is theirs, and REVOKE ON ALL TABLES would fail for it.
REVOKE ALL ON SCHEMA entasis, entasis_internal, entasis_migrations
FROM
public, entasis_reader, entasis_writer, entasis_admin, entasis_service, entasis_monitor CASCADE;
DO $revoke$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT o.kind, string_agg(o.identity, ', ') AS identities
        FROM (
            SELECT
                CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
                c.oid::regclass::text AS identity,
                c.relnamespace AS schema,
                c.relowner AS owner
            FROM pg_catalog.pg_class AS c
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            UNION ALL
            SELECT 'ROUTINE', p.oid::regprocedure::text, p.pronamespace, p.proowner
            FROM pg_catalog.pg_proc AS p
        ) AS o
        WHERE
            o.schema IN (
                'entasis'::regnamespace, 'entasis_internal'::regnamespace, 'entasis_migrations'::regnamespace
            )
            AND o.owner IN ('entasis_owner'::regrole, to_regrole('entasis_jobs'))
        GROUP BY o.kind
    LOOP
        EXECUTE format(
            'REVOKE ALL ON %s %s FROM public, entasis_reader, entasis_writer, entasis_admin, entasis_service, entasis_monitor CASCADE',
            found.kind, found.identities
        );
    END LOOP;
END
$revoke$;
-- by default PostgreSQL grants EXECUTE on every new function to PUBLIC
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM public;

GRANT USAGE ON SCHEMA entasis, entasis_internal TO entasis_reader, entasis_service, entasis_monitor;

GRANT SELECT ON
entasis.market_data,
entasis.option_data,
entasis.predictions,
entasis.portfolio_status,
entasis.ohlcv_1m,
entasis.ohlcv_5m,
entasis.ohlcv_15m,
entasis.ohlcv_30m,
entasis.ohlcv_1h,
entasis.ohlcv_4h,
entasis.ohlcv_1d,
entasis.ohlcv_1w,
entasis.ohlcv_1mo,
entasis.mv_ohlcv_1h,
entasis.exchange_candles,
entasis.markets,
entasis.anomaly_limits,
entasis.market_coverage,
entasis.keep_periods,
entasis.floors,
entasis.reopened,
entasis.partitions,
entasis.installation,
entasis.migrations
TO entasis_reader;

GRANT EXECUTE ON FUNCTION
entasis.acting_user_id,
entasis.act_for,
entasis_internal.acting_user_or_error,
entasis.keep_from,
entasis.candle_step,
entasis.candle_bucket,
entasis.candle_bucket_from,
entasis.candles,
entasis.candles_filled,
entasis_internal.partitions_of,
entasis_internal.partition_sizes,
entasis_internal.candle_watermarks,
entasis_internal.cache_channel_name,
entasis_internal.cache_listen,
entasis_internal.stored_level,
entasis_internal.candles_known_from,
entasis_internal.trades_kept_from,
entasis_internal.latest_trade,
entasis_internal.latest_trades,
entasis.latest_price,
entasis.latest_prices,
entasis_internal.option_contracts,
entasis.option_chain,
entasis.option_expiries,
entasis.iv_smile,
entasis.models,
entasis.prediction_scores,
entasis.portfolio,
entasis_internal.smile_ivs,
entasis.iv_term_structure,
entasis.risk_reversals,
entasis.put_call_open_interest,
entasis_internal.iv_at_tenor,
entasis.iv_history,
entasis.iv_rank,
entasis.prediction_accuracy,
entasis.prediction_calibration,
entasis_internal.positions_asof,
entasis.portfolio_exposure,
entasis.portfolio_pnl,
entasis.portfolio_drawdown,
entasis_internal.is_known_below_floor,
entasis_internal.history_ranges,
entasis_internal.trade_order,
entasis_internal.turnover_rates,
entasis_internal.read_candles,
entasis_internal.is_exchange_id,
entasis_internal.next_trade,
entasis_internal.previous_trade,
entasis_internal.check_range_bounds,
entasis_internal.silences,
entasis.digest_id,
entasis.id_gaps,
entasis.gaps,
entasis.coverage,
entasis.market_days
TO entasis_reader;

-- analysis
GRANT EXECUTE ON FUNCTION
entasis.basis,
entasis.basis_asof,
entasis.candles_of_width,
entasis.drawdown,
entasis.order_flow_imbalance,
entasis.prediction_markouts,
entasis.prices_asof,
entasis.quote_volume_bars,
entasis.realized_volatility,
entasis.return_correlation,
entasis.returns,
entasis.session_candles,
entasis.tick_bars,
entasis.trade_markouts,
entasis.twap,
entasis.volume_bars,
entasis.volume_profile,
entasis.vwap,
entasis_internal.checked_session,
entasis_internal.checked_size,
entasis_internal.checked_width,
entasis_internal.local_start,
entasis_internal.log_ratio,
entasis_internal.merged_minutes,
entasis_internal.trade_asof,
entasis_internal.trade_asof_minutes,
entasis_internal.trade_bars,
entasis_internal.trades_known_from,
entasis_internal.width_ranges
TO entasis_reader;

GRANT INSERT, UPDATE, DELETE ON
entasis.market_data,
entasis.option_data,
entasis.exchange_candles,
entasis.predictions,
entasis.portfolio_status
TO entasis_writer;
GRANT USAGE ON SEQUENCE
entasis.market_data_id_seq,
entasis.option_data_id_seq,
entasis.predictions_id_seq,
entasis.portfolio_status_id_seq
TO entasis_writer;
GRANT SELECT ON entasis.anomalies TO entasis_writer;
GRANT SELECT, INSERT ON entasis.quarantine TO entasis_writer;
GRANT SELECT, INSERT, UPDATE ON entasis.past_retention TO entasis_writer;
GRANT EXECUTE ON FUNCTION
entasis_internal.is_reopened,
entasis.record_id_space,
entasis.record_instruments,
entasis.record_markets,
entasis_internal.record_disorder,
entasis_internal.known_instrument,
entasis_internal.is_same_moment,
entasis_internal.ids_elsewhere,
entasis_internal.match_stored_trades,
entasis_internal.match_repeated_lines,
entasis_internal.match_staged_trades,
entasis_internal.count_staged_repeats,
entasis_internal.number_staged_trades,
entasis_internal.refuse_torn_moments,
entasis.ensure_partitions,
entasis_internal.round_half_even,
entasis_internal.round_numbers,
entasis.write_predictions,
entasis.write_prediction,
entasis.write_positions,
entasis.write_position,
entasis.stage_trades,
entasis.insert_staged_trades,
entasis_internal.insert_matched_trades,
entasis_internal.judge_staged_trades,
entasis.replace_staged_trades,
entasis_internal.reopening_hint,
entasis_internal.refuse_replacement,
entasis_internal.find_replaced_trades,
entasis_internal.delete_replaced_trades,
entasis_internal.name_fault,
entasis_internal.trade_fault,
entasis_internal.has_signed_prices,
entasis_internal.fill_stored_trades,
entasis_internal.fill_in_turns,
entasis_internal.stored_greek,
entasis_internal.round_staged_options,
entasis_internal.number_staged_options,
entasis.stage_options,
entasis.insert_staged_options,
entasis_internal.option_fault,
entasis.stage_exchange_candles,
entasis.insert_staged_exchange_candles,
entasis_internal.exchange_candle_fault,
entasis_internal.refuse_old_exchange_candle
TO entasis_writer;

GRANT UPDATE (keep, archived, months_ahead) ON entasis.keep_periods TO entasis_admin;
GRANT DELETE ON entasis.quarantine, entasis.past_retention, entasis.markets TO entasis_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON entasis.user_logins TO entasis_admin;
GRANT SELECT ON entasis.maintenance_log, entasis.runs TO entasis_admin;
GRANT EXECUTE ON FUNCTION entasis.begin_run, entasis.end_run, entasis_internal.log_since
TO entasis_admin;
GRANT EXECUTE ON FUNCTION entasis.check_candles, entasis.check_exchange_candles, entasis.check_ids,
entasis.flush_caches,
entasis.set_market,
entasis.unexamined_days,
entasis.examine_day,
entasis.detect_anomalies,
entasis.detect_quotes,
entasis.note_candle_differences,
entasis.take_refused,
entasis.decide_anomaly
TO entasis_admin;
GRANT UPDATE (value) ON entasis.anomaly_limits TO entasis_admin;
GRANT EXECUTE ON PROCEDURE
entasis.maintain,
entasis.reopen,
entasis_internal.reopen_candles,
entasis.rebuild_candles,
entasis.refresh_candles
TO entasis_admin;

GRANT SELECT ON
entasis.archives,
entasis.archive_objects,
entasis.restores,
entasis.lifecycle,
entasis.jobs,
entasis_internal.known_partitions,
entasis_internal.relation_sizes
TO entasis_admin;
GRANT EXECUTE ON FUNCTION
entasis_internal.job_runs,
entasis_internal.archive_fault,
entasis_internal.restore_hold,
entasis_internal.partitions_reach_ahead,
entasis_internal.time_text,
entasis_internal.trade_text,
entasis_internal.quote_text,
entasis_internal.candle_text,
entasis_internal.count_and_checksum,
entasis_internal.refuse_missing_trades,
entasis_internal.record_partitions,
entasis_internal.close_ended,
entasis_internal.candle_faults,
entasis_internal.reopen_begin,
entasis_internal.reopen_end,
entasis_internal.record_sizes,
entasis_internal.relation_bytes,
entasis_internal.delete_rows_before,
entasis.maintenance_plan,
entasis_internal.expired_partitions,
entasis_internal.drop_partition,
entasis_internal.mark_archive_stale,
entasis_internal.take_lease,
entasis_internal.release_lease,
entasis_internal.archive_begin,
entasis_internal.archive_counted,
entasis_internal.archive_verified,
entasis_internal.archive_forget,
entasis_internal.restore_begin,
entasis_internal.restore_verified,
entasis_internal.attach_restored,
entasis.drop_restored
TO entasis_admin;
GRANT EXECUTE ON PROCEDURE
entasis_internal.drop_expired,
entasis_internal.delete_expired_rows
TO entasis_admin;

-- what tells how the database is, and no row of what it holds
GRANT UPDATE (warning, critical) ON entasis.thresholds TO entasis_admin;
GRANT SELECT ON
entasis.health,
entasis.settings,
entasis.thresholds,
entasis_internal.made_objects
TO entasis_admin, entasis_monitor;
GRANT SELECT ON
entasis.archives,
entasis.floors,
entasis.installation,
entasis.jobs,
entasis.keep_periods,
entasis.lifecycle,
entasis.maintenance_log,
entasis.migrations,
entasis.partitions,
entasis.runs,
entasis_internal.known_partitions,
entasis_internal.relation_sizes
TO entasis_monitor;
GRANT EXECUTE ON FUNCTION
entasis.keep_from,
entasis_internal.archive_fault,
entasis_internal.expired_partitions,
entasis_internal.job_runs,
entasis_internal.partition_sizes,
entasis_internal.partitions_of,
entasis_internal.partitions_reach_ahead,
entasis_internal.relation_bytes,
entasis_internal.restore_hold,
entasis.maintenance_plan
TO entasis_monitor;
GRANT EXECUTE ON FUNCTION
entasis_internal.health_checks,
entasis_internal.health_values,
entasis_internal.health_feeds,
entasis_internal.health_ids,
entasis_internal.health_quarantine,
entasis_internal.health_retention,
entasis_internal.health_runs,
entasis_internal.health_objects,
entasis_internal.objects_now,
entasis_internal.health_changes,
entasis_internal.health_indexes,
entasis_internal.statistics_since,
entasis_internal.a_day,
entasis_internal.health_wal,
entasis_internal.health_sessions,
entasis_internal.sequences_used,
entasis_internal.health_tables,
entasis_internal.health_growth,
entasis_internal.health_settings,
entasis_internal.health_versions,
entasis_internal.setting_advice
TO entasis_admin, entasis_monitor;
