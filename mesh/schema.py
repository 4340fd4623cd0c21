"""The schema of a database in words, to be compared with another; dbmate's own table is left out."""

import psycopg

_QUERIES = (
    # tables and what is granted on them
    """
    SELECT format('%s %s: row security %s %s, options %s, grants %s, comment %s', relkind, relname, relrowsecurity,
                  relforcerowsecurity, reloptions, relacl, obj_description(oid, 'pg_class'))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
    """,
    """
    SELECT format('column %s.%s: %s, not null %s, default %s, comment %s', attrelid::regclass, attname,
                  format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
                  col_description(attrelid, attnum))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
    """,
    """
    SELECT format('index: %s, valid %s', pg_get_indexdef(indexrelid), indisvalid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
    """,
    """
    SELECT format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "SELECT format('policy: %s', pg_policies) FROM pg_policies WHERE schemaname = 'public'",
    """
    SELECT format('function: %s', pg_get_functiondef(oid)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
    """,
)


def snapshot(dsn: str) -> set[str]:
    """A sentence for each table, column, index, constraint, policy and function that there is."""
    with psycopg.connect(dsn) as connection:
        sentences = {sentence for query in _QUERIES for (sentence,) in connection.execute(query)}
        return {sentence for sentence in sentences if "schema_migrations" not in sentence}
