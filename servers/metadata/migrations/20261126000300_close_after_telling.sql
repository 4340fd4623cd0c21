-- See `open_for_telling`.

-- migrate:up
SET LOCAL lock_timeout = '3s';
DROP POLICY told_by_owner ON outbox;
DROP POLICY told_by_owner ON recordings;

-- migrate:down
SET LOCAL lock_timeout = '3s';
CREATE POLICY told_by_owner ON recordings FOR SELECT TO ai2text_owner USING (true);
CREATE POLICY told_by_owner ON outbox FOR INSERT TO ai2text_owner WITH CHECK (true);
