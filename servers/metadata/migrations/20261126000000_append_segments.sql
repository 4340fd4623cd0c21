-- Segments are appended by one call, which is one transaction: appends to one recording, which wait for each other by the
-- lock on its row, then never wait for a server's next statement as well, and the server goes to Postgres once.

-- migrate:up
CREATE FUNCTION append_segments(
    of_tenant text,
    of_recording uuid,
    of_transcript uuid,
    indexes bigint[],
    texts text[],
    starts_ms bigint[],
    ends_ms bigint[],
    language_codes text[],
    confidences real[],
    words_of_each jsonb[],
    raw_texts text[],
    event_ids uuid[],
    subjects text[],
    ordering_keys text[],
    payloads bytea[],
    traceparents text[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    kept bigint[];
BEGIN
    PERFORM set_config('ai2text.tenant', of_tenant, true);
    PERFORM FROM recordings WHERE recording_id = of_recording FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    WITH added AS (
        INSERT INTO segments (
            tenant, transcript_id, segment_index, text, start_ms, end_ms, language_code, confidence, words, raw_text
        )
        SELECT of_tenant, of_transcript, *
        FROM unnest(
            indexes, texts, starts_ms, ends_ms, language_codes, confidences, words_of_each, raw_texts
        )
        ON CONFLICT (transcript_id, segment_index) DO NOTHING
        RETURNING segment_index
    )
    SELECT array_agg(segment_index) INTO kept FROM added;
    IF kept IS NULL THEN
        RETURN 0;
    END IF;

    INSERT INTO outbox (tenant, event_id, subject, ordering_key, payload, traceparent)
    SELECT of_tenant, event_id, subject, ordering_key, payload, traceparent
    FROM unnest(indexes, event_ids, subjects, ordering_keys, payloads, traceparents)
        WITH ORDINALITY AS given (segment_index, event_id, subject, ordering_key, payload, traceparent, place)
    WHERE segment_index = ANY(kept)
    ORDER BY place;

    UPDATE recordings
    SET segment_count = segment_count + cardinality(kept),
        duration_ms = greatest(duration_ms, new.end_ms),
        heard_language_code = CASE WHEN heard_language_code <> '' THEN heard_language_code ELSE new.language_code END,
        update_time = clock_timestamp()
    FROM (
        SELECT max(end_ms) AS end_ms,
            coalesce((array_agg(language_code ORDER BY place) FILTER (WHERE language_code <> ''))[1], '') AS language_code
        FROM unnest(indexes, ends_ms, language_codes)
            WITH ORDINALITY AS given (segment_index, end_ms, language_code, place)
        WHERE segment_index = ANY(kept)
    ) AS new
    WHERE recording_id = of_recording;
    UPDATE transcripts SET segment_count = segment_count + cardinality(kept) WHERE transcript_id = of_transcript;
    RETURN cardinality(kept);
END
$$;
COMMENT ON FUNCTION append_segments IS
    'Keeps, as the tenant, the segments whose index is free, and their events: how many. NULL when there is no recording.';
REVOKE EXECUTE ON FUNCTION append_segments FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_segments TO ai2text_app;

-- migrate:down
DROP FUNCTION append_segments;
