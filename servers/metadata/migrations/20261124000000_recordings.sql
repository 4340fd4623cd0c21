-- Run by the role ai2text_owner; the server itself connects as ai2text_app, which owns nothing and so is held by
-- row-level security. A transaction sees the rows of the tenant named in the setting ai2text.tenant; without it, none.

-- migrate:up
CREATE TABLE recordings (
    recording_id uuid PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant <> ''),
    title text NOT NULL,
    source text NOT NULL CHECK (source IN ('live', 'file')),
    language_code text NOT NULL,
    heard_language_code text NOT NULL DEFAULT '',
    duration_ms bigint NOT NULL DEFAULT 0,
    segment_count bigint NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant, recording_id)
);
COMMENT ON COLUMN recordings.language_code IS 'What the creator said; empty when unknown.';
COMMENT ON COLUMN recordings.heard_language_code IS 'The language of the first segment that names one.';
CREATE INDEX recordings_newest ON recordings (tenant, create_time DESC, recording_id DESC);

CREATE TABLE transcripts (
    transcript_id uuid PRIMARY KEY,
    tenant text NOT NULL,
    recording_id uuid NOT NULL,
    model text NOT NULL,
    segment_count bigint NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant, transcript_id),
    FOREIGN KEY (tenant, recording_id) REFERENCES recordings (tenant, recording_id) ON DELETE CASCADE
);
CREATE INDEX transcripts_newest ON transcripts (tenant, recording_id, create_time DESC, transcript_id DESC);

CREATE TABLE segments (
    transcript_id uuid NOT NULL,
    segment_index bigint NOT NULL CHECK (segment_index >= 0),
    tenant text NOT NULL,
    text text NOT NULL,
    start_ms bigint NOT NULL CHECK (start_ms >= 0),
    end_ms bigint NOT NULL CHECK (end_ms >= start_ms),
    language_code text NOT NULL,
    confidence real NOT NULL,
    words jsonb NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (transcript_id, segment_index),
    FOREIGN KEY (tenant, transcript_id) REFERENCES transcripts (tenant, transcript_id) ON DELETE CASCADE
);

ALTER TABLE recordings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE transcripts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE segments ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON recordings USING (tenant = current_setting('ai2text.tenant', true));
CREATE POLICY own_tenant ON transcripts USING (tenant = current_setting('ai2text.tenant', true));
CREATE POLICY own_tenant ON segments USING (tenant = current_setting('ai2text.tenant', true));

GRANT SELECT, INSERT, UPDATE, DELETE ON recordings, transcripts, segments TO ai2text_app;

-- migrate:down
DROP TABLE segments;
DROP TABLE transcripts;
DROP TABLE recordings;
