-- Batch transcriptions: an operation for each upload or request, and a row for each of its files. The batch server keeps
-- them, as the role ai2text_app. A file holds no foreign key to its recording: an operation outlives what it transcribed.

-- migrate:up
CREATE TABLE operations (
    operation_id uuid PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant <> ''),
    subject text NOT NULL,
    language_code text NOT NULL DEFAULT '',
    cancelled boolean NOT NULL DEFAULT false,
    deleted boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant, operation_id)
);
COMMENT ON COLUMN operations.deleted IS 'Its files are gone and nobody sees it; its id is never given again.';
COMMENT ON COLUMN operations.subject IS 'Who asked for it; the server acts in the name of this subject.';
CREATE INDEX operations_newest ON operations (tenant, create_time DESC, operation_id DESC);

CREATE TABLE operation_files (
    operation_id uuid NOT NULL,
    place integer NOT NULL,
    tenant text NOT NULL,
    recording_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    transcript_id uuid,
    duration_ms bigint NOT NULL DEFAULT 0,
    done_ms bigint NOT NULL DEFAULT 0,
    segment_count bigint NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    attempt bigint NOT NULL DEFAULT 0,
    error_code integer NOT NULL DEFAULT 0,
    error_reason text NOT NULL DEFAULT '',
    error_message text NOT NULL DEFAULT '',
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (operation_id, place),
    UNIQUE (operation_id, recording_id),
    FOREIGN KEY (tenant, operation_id) REFERENCES operations (tenant, operation_id) ON DELETE CASCADE
);
COMMENT ON COLUMN operation_files.attempt IS 'Counts every beginning; only the newest may change the file.';
COMMENT ON COLUMN operation_files.place IS 'Counts the files of an operation from 0, in the order in which they were named.';

ALTER TABLE operations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE operation_files ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON operations USING (tenant = current_setting('ai2text.tenant', true));
CREATE POLICY own_tenant ON operation_files USING (tenant = current_setting('ai2text.tenant', true));

GRANT SELECT, INSERT, UPDATE, DELETE ON operations, operation_files TO ai2text_app;

-- migrate:down
DROP TABLE operation_files;
DROP TABLE operations;
