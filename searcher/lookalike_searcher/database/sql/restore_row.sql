-- A row of the registry from JSON; columns that it does not have keep their defaults.
INSERT INTO {table} ({columns})
SELECT {columns}
FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)
ON CONFLICT DO NOTHING
RETURNING {key}
