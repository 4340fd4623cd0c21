-- Who tells again what all tenants have goes from one to the next. The server may learn their names, by this function
-- alone; what they have it sees as each of them, as ever. Row-level security holds the owner, too: the setting lets it
-- by, in this function and for as long as it runs.

-- migrate:up
SET LOCAL lock_timeout = '3s';
CREATE POLICY named_by_owner ON recordings FOR SELECT TO ai2text_owner
    USING (current_setting('ai2text.naming', true) = 'tenants');
CREATE POLICY named_by_owner ON deleted_recordings FOR SELECT TO ai2text_owner
    USING (current_setting('ai2text.naming', true) = 'tenants');
CREATE FUNCTION next_tenant(previous text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    following text;
BEGIN
    PERFORM set_config('ai2text.naming', 'tenants', true);
    following := least(
        (SELECT min(tenant) FROM recordings WHERE tenant > previous),
        (SELECT min(tenant) FROM deleted_recordings WHERE tenant > previous)
    );
    PERFORM set_config('ai2text.naming', '', true);
    RETURN following;
END
$$;
COMMENT ON FUNCTION next_tenant IS
    'The first tenant after this one, in the order of names, that has a recording or had one. NULL when there is none.';
REVOKE EXECUTE ON FUNCTION next_tenant FROM PUBLIC;
GRANT EXECUTE ON FUNCTION next_tenant TO ai2text_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP FUNCTION next_tenant;
DROP POLICY named_by_owner ON deleted_recordings;
DROP POLICY named_by_owner ON recordings;
