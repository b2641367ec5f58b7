-- Only the next build heeds them. Whoever waits for a long reader of the index keeps all others waiting, so it gives up soon.
BEGIN; SET LOCAL lock_timeout = '2s'; ALTER INDEX {schema}.{index} SET ({options}); COMMIT
