"""A share of the requests is the same requests everywhere and always."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cascade_server.rollout.share import Purpose, falls_within

PERCENTS = st.floats(0, 100)


@given(st.text(max_size=20), PERCENTS, PERCENTS)
def test_a_larger_share_keeps_those_that_were_within(key: str, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    if falls_within(smaller, "canary", "acme", "search", key):
        assert falls_within(larger, "canary", "acme", "search", key)


@given(st.text(max_size=20))
def test_nobody_is_within_nothing_and_everybody_within_everything(key: str) -> None:
    assert not falls_within(0.0, "canary", "acme", "search", key)
    assert falls_within(100.0, "canary", "acme", "search", key)


def within(percent: float, tenant: str = "acme", cascade: str = "search", purpose: Purpose = "canary") -> set[int]:
    return {key for key in range(10_000) if falls_within(percent, purpose, tenant, cascade, f"user {key}")}


def test_a_share_has_about_its_size() -> None:
    assert 900 < len(within(10.0)) < 1100
    assert 20 < len(within(0.5)) < 80


def test_a_key_falls_where_it_fell_before() -> None:
    """Servers of different releases may share a store."""
    assert sorted(within(0.1)) == [1517, 3825, 5073, 6258, 7661, 7744, 7787]


def test_tenants_cascades_and_purposes_have_shares_of_their_own() -> None:
    shares = [within(50.0), within(50.0, tenant="calm"), within(50.0, cascade="ads"), within(50.0, purpose="shadow")]
    for i, one in enumerate(shares):
        for other in shares[:i]:
            assert 2000 < len(one & other) < 3000
