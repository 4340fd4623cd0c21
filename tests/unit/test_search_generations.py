"""Generations of tenants."""

from servers.search.generations import QUIET_S, Generations


def test_each_change_begins_another_of_its_tenant_alone() -> None:
    now = 5.0
    generations = Generations(lambda: now)
    first = generations.of("acme")
    assert first is not None
    assert generations.of("acme") == first
    generations.count_up("acme")
    now += QUIET_S
    second = generations.of("acme")
    assert second not in (None, first)
    assert generations.of("rival") == first
    generations.count_up("acme")
    generations.count_up("acme")
    now += QUIET_S
    assert generations.of("acme") not in (None, first, second)


def test_one_that_is_likely_to_end_soon_has_no_name() -> None:
    now = 0.0
    generations = Generations(lambda: now)
    generations.count_up("acme")
    now += QUIET_S - 0.01
    assert generations.of("acme") is None
    generations.count_up("acme")
    now += 0.02
    assert generations.of("acme") is None
    now += QUIET_S
    assert generations.of("acme") is not None
