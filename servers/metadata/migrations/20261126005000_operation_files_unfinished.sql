-- The few files that are not done, whatever many have been. Not by time: a round that is noted would change the index.
-- Built while writes go on, which is one statement in no transaction. Where it breaks off it leaves an invalid index:
-- the next start drops it first.

-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY operation_files_unfinished ON operation_files (operation_id)
    WHERE state IN ('queued', 'running');

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY operation_files_unfinished;
