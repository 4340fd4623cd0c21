-- Recordings of one language, the newest first: what the creator said, else what was heard. Not by coalesce: Postgres
-- takes that for leaky, and uses no index on it beneath row-level security.
-- Built while writes go on, which is one statement in no transaction. Where it breaks off it leaves an invalid index:
-- the next start drops it first.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY recordings_languages ON recordings (
    tenant,
    (CASE WHEN language_code <> '' THEN language_code ELSE heard_language_code END),
    create_time DESC,
    recording_id DESC
);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY recordings_languages;
