-- Appends of many callers, kept by one call: one way to Postgres, one commit and one statement of each kind for all of
-- them. What another transaction holds is left out, and appended alone: nobody waits for a recording that is not theirs.

-- migrate:up
CREATE FUNCTION append_together(given jsonb) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    of_tenant text;
    held uuid[];
    answered record;
    answer bigint[] := array_fill(NULL::bigint, ARRAY[(given -> -1 ->> 'place')::integer]);
BEGIN
    FOR of_tenant IN SELECT DISTINCT one ->> 'tenant' FROM jsonb_array_elements(given) AS one LOOP
        PERFORM set_config('ai2text.tenant', of_tenant, true);
        SELECT array_agg(recording_id) INTO held FROM (
            SELECT recording_id FROM recordings WHERE recording_id IN (
                SELECT (one ->> 'recording_id')::uuid FROM jsonb_array_elements(given) AS one
                WHERE one ->> 'tenant' = of_tenant
            ) FOR UPDATE SKIP LOCKED
        ) AS free;

        FOR answered IN
            WITH asked AS MATERIALIZED (
                SELECT * FROM jsonb_to_recordset(given) AS one (
                    place integer, tenant text, recording_id uuid, transcript_id uuid, segment_index bigint, text text,
                    start_ms bigint, end_ms bigint, language_code text, confidence real, words jsonb, raw_text text,
                    event_id uuid, subject text, ordering_key text, payload text, traceparent text
                ) WHERE tenant = of_tenant AND recording_id = ANY(held)
            ), first AS MATERIALIZED (
                SELECT DISTINCT ON (transcript_id, segment_index) * FROM asked
                ORDER BY transcript_id, segment_index, place
            ), added AS (
                INSERT INTO segments (
                    tenant, transcript_id, segment_index, text, start_ms, end_ms, language_code, confidence, words,
                    raw_text
                )
                SELECT of_tenant, transcript_id, segment_index, text, start_ms, end_ms, language_code, confidence, words,
                    raw_text
                FROM first
                ON CONFLICT (transcript_id, segment_index) DO NOTHING
                RETURNING transcript_id, segment_index
            ), kept AS MATERIALIZED (
                SELECT first.* FROM first JOIN added USING (transcript_id, segment_index)
            ), told AS (
                INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)
                SELECT of_tenant, event_id, subject, ordering_key, decode(payload, 'base64'), traceparent
                FROM kept ORDER BY place, segment_index
            ), counted AS (
                UPDATE recordings
                SET segment_count = segment_count + new.count,
                    duration_ms = greatest(duration_ms, new.end_ms),
                    heard_language_code =
                        CASE WHEN heard_language_code <> '' THEN heard_language_code ELSE new.language_code END,
                    update_time = clock_timestamp()
                FROM (
                    SELECT kept.recording_id, count(*) AS count, max(end_ms) AS end_ms,
                        coalesce((array_agg(language_code ORDER BY place, segment_index)
                            FILTER (WHERE language_code <> ''))[1], '') AS language_code
                    FROM kept GROUP BY kept.recording_id
                ) AS new
                WHERE recordings.recording_id = new.recording_id
            ), counted_too AS (
                UPDATE transcripts SET segment_count = segment_count + new.count
                FROM (SELECT kept.transcript_id, count(*) AS count FROM kept GROUP BY kept.transcript_id) AS new
                WHERE transcripts.transcript_id = new.transcript_id
            )
            SELECT asked.place, count(kept.place) AS count
            FROM asked LEFT JOIN kept USING (place, transcript_id, segment_index)
            GROUP BY asked.place
        LOOP
            answer[answered.place] := answered.count;
        END LOOP;
    END LOOP;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION append_together IS
    'Keeps the segments whose index is free, each as its tenant, and their events: how many, by the place of their append '
    'from 1. No answer, or NULL, where there is no recording, or another transaction holds it.';
REVOKE EXECUTE ON FUNCTION append_together FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_together TO ai2text_app;

-- migrate:down
DROP FUNCTION append_together;
