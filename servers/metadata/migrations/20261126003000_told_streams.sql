-- Which streams of JetStream have been told of all there is: others, made anew, have lost that, and are told it again.

-- migrate:up
CREATE TABLE told_streams (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    streams text NOT NULL DEFAULT '',
    claimed_by uuid,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON COLUMN told_streams.streams IS 'Their names, each with when it was made. Empty while none have been seen.';
COMMENT ON COLUMN told_streams.claimed_by IS 'The server that tells, for as long as it goes on claiming that.';
INSERT INTO told_streams DEFAULT VALUES;

ALTER TABLE told_streams ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY kept_by_server ON told_streams USING (current_setting('ai2text.tenant', true) = '');

GRANT SELECT, UPDATE ON told_streams TO ai2text_app;

-- migrate:down
DROP TABLE told_streams;
