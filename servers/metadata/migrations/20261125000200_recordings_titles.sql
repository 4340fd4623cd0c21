-- Recordings by title, by code points whatever the locale of the database is.
-- Built while writes go on, which is one statement in no transaction. Where it breaks off it leaves an invalid index:
-- the next start drops it first.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY recordings_titles ON recordings (tenant, title COLLATE "C", recording_id);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY recordings_titles;
