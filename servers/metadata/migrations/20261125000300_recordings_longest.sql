-- Recordings by length, the longest first.
-- Built while writes go on, which is one statement in no transaction. Where it breaks off it leaves an invalid index:
-- the next start drops it first.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY recordings_longest ON recordings (tenant, duration_ms DESC, recording_id DESC);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY recordings_longest;
