-- Recordings from one source, the newest first.
-- Built while writes go on, which is one statement in no transaction. Where it breaks off it leaves an invalid index:
-- the next start drops it first.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY recordings_sources ON recordings (tenant, source, create_time DESC, recording_id DESC);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY recordings_sources;
