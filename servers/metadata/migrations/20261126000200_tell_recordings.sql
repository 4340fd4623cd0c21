-- Every recording that is there is told of once, by the event `recording.updated`: from now on the server tells of each
-- that is new or changes. The payload is the message RecordingUpdated, written here field by field.
-- Ten thousand at a time, each time in a transaction of its own, so that nobody waits: one statement in no transaction.
-- Where it breaks off, the next start begins again: what was told before is told twice, under the same id, which readers
-- of the event bear.

-- migrate:up transaction:false
DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    told bigint;
BEGIN
    CREATE FUNCTION pg_temp.varint(number bigint) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $varint$
    DECLARE
        bytes bytea := '';
    BEGIN
        WHILE number > 127 LOOP
            bytes := bytes || set_byte('\x00', 0, (number & 127)::integer | 128);
            number := number >> 7;
        END LOOP;
        RETURN bytes || set_byte('\x00', 0, number::integer);
    END
    $varint$;
    CREATE FUNCTION pg_temp.bytes_field(tag integer, content bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $field$
        SELECT CASE WHEN content = '' THEN content
            ELSE pg_temp.varint(tag * 8 + 2) || pg_temp.varint(length(content)) || content END
    $field$;
    CREATE FUNCTION pg_temp.text_field(tag integer, content text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $field$
        SELECT pg_temp.bytes_field(tag, convert_to(content, 'UTF8'))
    $field$;
    CREATE FUNCTION pg_temp.number_field(tag integer, content bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS $field$
        SELECT CASE WHEN content = 0 THEN ''::bytea ELSE pg_temp.varint(tag * 8) || pg_temp.varint(content) END
    $field$;
    CREATE FUNCTION pg_temp.time_field(tag integer, content timestamptz) RETURNS bytea LANGUAGE sql IMMUTABLE AS $field$
        SELECT pg_temp.bytes_field(tag, pg_temp.number_field(1, floor(extract(epoch FROM content))::bigint)
            || pg_temp.number_field(2, (extract(microseconds FROM content)::bigint % 1000000) * 1000))
    $field$;
    CREATE FUNCTION pg_temp.labels_field(tag integer, content jsonb) RETURNS bytea LANGUAGE sql IMMUTABLE AS $field$
        SELECT coalesce(string_agg(
            pg_temp.bytes_field(tag, pg_temp.text_field(1, key) || pg_temp.text_field(2, value)), ''::bytea
        ), '') FROM jsonb_each_text(content)
    $field$;

    LOOP
        WITH batch AS MATERIALIZED (
            SELECT *, md5(recording_id::text || ' recording.updated v' || version)::uuid AS event_id
            FROM recordings WHERE recording_id > last ORDER BY recording_id LIMIT 10000
        ), kept AS (
            INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)
            SELECT tenant, event_id, 'recording.updated', recording_id,
                pg_temp.text_field(1, event_id::text)
                || pg_temp.time_field(2, clock_timestamp())
                || pg_temp.text_field(3, tenant)
                || pg_temp.text_field(4, recording_id::text)
                || pg_temp.number_field(5, version)
                || pg_temp.text_field(6, title)
                || pg_temp.text_field(7, language_code)
                || pg_temp.labels_field(8, labels)
                || pg_temp.time_field(9, create_time),
                ''
            FROM batch
        )
        SELECT count(*), (array_agg(recording_id ORDER BY recording_id DESC))[1] INTO told, last FROM batch;
        EXIT WHEN told = 0;
        COMMIT;
    END LOOP;

    DROP FUNCTION pg_temp.labels_field(integer, jsonb), pg_temp.time_field(integer, timestamptz),
        pg_temp.number_field(integer, bigint), pg_temp.text_field(integer, text),
        pg_temp.bytes_field(integer, bytea), pg_temp.varint(bigint);
END
$$;

-- migrate:down
SELECT set_config('ai2text.tenant', '', true);
DELETE FROM outbox WHERE subject = 'recording.updated';
