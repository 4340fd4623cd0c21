-- Recordings that have a file, can be labelled, changed and deleted. New columns have constant defaults, so no table is
-- written anew. A file has a table of its own: the row of its recording is rewritten with every append.

-- migrate:up
SET LOCAL lock_timeout = '3s';

ALTER TABLE recordings
    ADD COLUMN labels jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN created_as bytea NOT NULL DEFAULT '';
COMMENT ON COLUMN recordings.version IS 'Counts the changes of title, language_code and labels.';
COMMENT ON COLUMN recordings.created_as IS
    'Digest of what the creator said, which a change leaves alone; empty while that is what the row says.';

ALTER TABLE segments ADD COLUMN raw_text text NOT NULL DEFAULT '';
COMMENT ON COLUMN segments.raw_text IS 'What the speech model wrote; empty when it is the text.';

CREATE TABLE recording_files (
    recording_id uuid PRIMARY KEY,
    tenant text NOT NULL,
    object_key text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    crc32c bigint NOT NULL,
    container text NOT NULL,
    codec text NOT NULL,
    sample_rate_hz bigint NOT NULL,
    channel_count bigint NOT NULL,
    duration_ms bigint NOT NULL,
    FOREIGN KEY (tenant, recording_id) REFERENCES recordings (tenant, recording_id) ON DELETE CASCADE
);
CREATE INDEX recording_files_objects ON recording_files (tenant, object_key);

CREATE TABLE deleted_recordings (
    recording_id uuid NOT NULL,
    tenant text NOT NULL CHECK (tenant <> ''),
    delete_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, recording_id)
);
COMMENT ON TABLE deleted_recordings IS 'Ids that are never given again: what belonged to them may still be under way.';

ALTER TABLE recording_files ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE deleted_recordings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON recording_files USING (tenant = current_setting('ai2text.tenant', true));
CREATE POLICY own_tenant ON deleted_recordings USING (tenant = current_setting('ai2text.tenant', true));

GRANT SELECT, INSERT, UPDATE, DELETE ON recording_files TO ai2text_app;
GRANT SELECT, INSERT ON deleted_recordings TO ai2text_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP TABLE deleted_recordings;
DROP TABLE recording_files;
ALTER TABLE segments DROP COLUMN raw_text;
ALTER TABLE recordings DROP COLUMN created_as, DROP COLUMN version, DROP COLUMN labels;
