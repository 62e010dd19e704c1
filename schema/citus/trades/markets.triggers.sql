-- Here no trigger tells caches of a change: NOTIFY on a worker does not reach the coordinator, and a transaction
-- that sent one cannot be prepared.
SELECT;
