-- A transcript whose writer is still at work, or has given up, says so. What there was before counts as complete. The
-- default is constant, so the table is not written anew.

-- migrate:up
SET LOCAL lock_timeout = '3s';
ALTER TABLE transcripts ADD COLUMN incomplete boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN transcripts.incomplete IS 'Readers who ask for none by its id get the newest that is not, if there is one.';

-- migrate:down
SET LOCAL lock_timeout = '3s';
ALTER TABLE transcripts DROP COLUMN incomplete;
