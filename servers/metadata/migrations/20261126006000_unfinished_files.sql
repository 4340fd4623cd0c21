-- The batch server asks again for files of which no event waits any more, whosever they are. It may learn which are not
-- done, by this function alone; it changes them as their tenant, as ever. Row-level security holds the owner, too: the
-- setting lets it by, in this function and for as long as it runs.

-- migrate:up
SET LOCAL lock_timeout = '3s';
CREATE POLICY named_by_owner ON operations FOR SELECT TO ai2text_owner
    USING (current_setting('ai2text.naming', true) = 'unfinished files');
CREATE POLICY named_by_owner ON operation_files FOR SELECT TO ai2text_owner
    USING (current_setting('ai2text.naming', true) = 'unfinished files');
CREATE FUNCTION unfinished_files(silent interval)
RETURNS TABLE (tenant text, subject text, operation_id uuid, recording_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('ai2text.naming', 'unfinished files', true);
    RETURN QUERY
        SELECT file.tenant, operation.subject, file.operation_id, file.recording_id
        FROM operation_files AS file JOIN operations AS operation ON operation.operation_id = file.operation_id
        WHERE file.state IN ('queued', 'running') AND file.update_time < clock_timestamp() - silent;
    PERFORM set_config('ai2text.naming', '', true);
END
$$;
COMMENT ON FUNCTION unfinished_files IS
    'Files of all tenants that are not done, and of which nothing has been noted for so long; in no order.';
REVOKE EXECUTE ON FUNCTION unfinished_files FROM PUBLIC;
GRANT EXECUTE ON FUNCTION unfinished_files TO ai2text_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
DROP FUNCTION unfinished_files;
DROP POLICY named_by_owner ON operation_files;
DROP POLICY named_by_owner ON operations;
