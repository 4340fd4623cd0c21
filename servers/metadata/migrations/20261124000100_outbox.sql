-- Events that are stored but not yet published. A tenant's transaction may only add its own; the server itself, whose
-- transactions name no tenant, reads and removes those of all.

-- migrate:up
CREATE TABLE outbox (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant <> ''),
    event_id uuid NOT NULL,
    subject text NOT NULL,
    ordering_key text NOT NULL,
    payload bytea NOT NULL,
    traceparent text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN outbox.ordering_key IS 'Events of the same key are published in order of their sequence.';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context of the call that made the event; empty when it had none.';
CREATE INDEX outbox_order ON outbox (ordering_key, sequence);

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY added_by_tenant ON outbox FOR INSERT WITH CHECK (tenant = current_setting('ai2text.tenant', true));
CREATE POLICY relayed_by_server ON outbox USING (current_setting('ai2text.tenant', true) = '');

GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO ai2text_app;

-- migrate:down
DROP TABLE outbox;
