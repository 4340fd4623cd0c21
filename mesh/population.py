"""Fills a database of the first migrations with recordings of a few tenants, and counts what is in it."""

import psycopg

TENANTS = ("acme", "beta", "gamma", "delta")
SEGMENTS_EACH = 50
"""Of a recording."""

_RECORDINGS = """
INSERT INTO recordings (
    recording_id, tenant, title, source, language_code, heard_language_code, duration_ms, segment_count, create_time
)
SELECT md5(format('%%s recording %%s', tenant, n))::uuid, tenant, format('Bản tin số %%s', n * 7919 %% 100003),
       CASE n %% 5 WHEN 0 THEN 'file' ELSE 'live' END, CASE n %% 3 WHEN 0 THEN 'vi' WHEN 1 THEN 'en' ELSE '' END, 'vi',
       n * 104729 %% 3600000, %(each)s, timestamptz '2026-01-01' + n * interval '1 minute'
FROM generate_series(1::bigint, %(recordings)s) AS n, (SELECT %(tenant)s::text AS tenant) AS given
"""
_TRANSCRIPTS = """
INSERT INTO transcripts (transcript_id, tenant, recording_id, model, segment_count)
SELECT md5(format('transcript %%s', recording_id))::uuid, tenant, recording_id, 'whisper-base', %(each)s FROM recordings
"""
_SEGMENTS = """
INSERT INTO segments (
    transcript_id, segment_index, tenant, text, start_ms, end_ms, language_code, confidence, words
)
SELECT transcript_id, n, tenant, format('câu thứ %%s: hôm nay trời đẹp và chúng tôi đi học ở Hà Nội', n),
       n * 4000, n * 4000 + 3500, 'vi', 0.9, '[["hôm", 0, 300, 0.9], ["nay", 300, 600, 0.8], ["trời", 600, 900, 0.9]]'
FROM transcripts, generate_series(0, %(each)s - 1) AS n
"""
_TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations' ORDER BY relname
"""


def fill(dsn: str, segments: int) -> None:
    """Write about as many segments, as the owner of the schema, whom row-level security holds as well."""
    recordings = max(1, segments // (SEGMENTS_EACH * len(TENANTS)))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for tenant in TENANTS:
            given = {"tenant": tenant, "recordings": recordings, "each": SEGMENTS_EACH}
            with connection.transaction():
                _become(connection, tenant)
                for statement in (_RECORDINGS, _TRANSCRIPTS, _SEGMENTS):
                    connection.execute(statement, given)
        connection.execute("VACUUM ANALYZE")


def count(dsn: str) -> dict[str, int]:
    """How many rows of the tenants each table has."""
    with psycopg.connect(dsn) as connection:
        tables = [name for (name,) in connection.execute(_TABLES)]
        found = dict.fromkeys(tables, 0)
        for tenant in TENANTS:
            _become(connection, tenant)
            for table in tables:
                for (rows,) in connection.execute(f'SELECT count(*) FROM "{table}"'):
                    found[table] += rows
        return found


def _become(connection: "psycopg.Connection[tuple[object, ...]]", tenant: str) -> None:
    connection.execute("SELECT set_config('ai2text.tenant', %s, true)", (tenant,))
