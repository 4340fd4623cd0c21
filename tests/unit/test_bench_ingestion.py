"""Whom the uploads of the benchmark belong to."""

from bench import ingestion


def test_each_run_has_a_tenant_of_its_own_so_that_the_store_has_none_of_its_files_yet() -> None:
    first, second = dict(ingestion.caller()), dict(ingestion.caller())
    assert first["x-ai2text-tenant"] != second["x-ai2text-tenant"]
    assert first["x-ai2text-scopes"] == "recordings.write recordings.read"
