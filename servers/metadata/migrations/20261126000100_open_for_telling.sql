-- For as long as `tell_recordings` runs, the owner of the tables, and nobody else, sees the recordings of all tenants and
-- writes events for them. `close_after_telling` takes that back.

-- migrate:up
SET LOCAL lock_timeout = '3s';
CREATE POLICY told_by_owner ON recordings FOR SELECT TO ai2text_owner USING (true);
CREATE POLICY told_by_owner ON outbox FOR INSERT TO ai2text_owner WITH CHECK (true);

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP POLICY told_by_owner ON outbox;
DROP POLICY told_by_owner ON recordings;
