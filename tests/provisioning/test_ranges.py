from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.ranges import FALLBACK, MINIMUM, WIDEST, CloudflareRanges, RangesRefused, checked

REHEARSAL = (
    [f"198.18.{n}.0/24" for n in range(16, 31)],
    [f"2001:db8:cf{n:02x}::/48" for n in range(7)],
)

networks4 = st.builds(
    lambda address, prefix: str(ip_network((address, prefix), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
networks6 = st.builds(
    lambda address, prefix: str(ip_network((address, prefix), strict=False)),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)
nonsense = st.one_of(st.text(max_size=40), st.none(), st.integers(), st.sampled_from(["any", "0.0.0.0/0", "::/0", "*"]))


def test_the_fallback_is_what_cloudflare_publishes() -> None:
    assert len(FALLBACK.ipv4) == 15
    assert len(FALLBACK.ipv6) == 7
    assert "104.24.0.0/14" in FALLBACK.ipv4  # the one that copied lists lack
    assert FALLBACK.all == FALLBACK.ipv4 + FALLBACK.ipv6


def test_the_rehearsals_ranges_are_taken() -> None:
    assert checked(*REHEARSAL).ipv4[0] == "198.18.16.0/24"


def test_order_and_repetition_do_not_matter() -> None:
    assert checked([*reversed(FALLBACK.ipv4), FALLBACK.ipv4[3]], list(reversed(FALLBACK.ipv6))) == FALLBACK


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "said"),
    [
        ([], REHEARSAL[1], "IPv4 ranges: 0 given, at least 5"),
        (REHEARSAL[0], [], "IPv6 ranges: 0 given, at least 3"),
        (REHEARSAL[0][:4], REHEARSAL[1], "4 given"),
        ([*REHEARSAL[0], "0.0.0.0/0"], REHEARSAL[1], "0.0.0.0/0 is wider than /8"),
        (REHEARSAL[0], [*REHEARSAL[1], "::/0"], "::/0 is wider than /24"),
        ([*REHEARSAL[0], "2001:db8::/32"], REHEARSAL[1], "'2001:db8::/32' is IPv6"),
        (REHEARSAL[0], [*REHEARSAL[1], "2001:db8:cf00::1/48"], "2001:db8:cf00::1/48' is not a network"),
        ([*REHEARSAL[0], "<html>"], REHEARSAL[1], "'<html>' is not a network like 173.245.48.0/20"),
        ([*REHEARSAL[0], "198.18.0.0/16"], REHEARSAL[1], "198.18.0.0/16 and 198.18.16.0/24 overlap"),
        ([*REHEARSAL[0], "127.0.0.0/8"], REHEARSAL[1], "127.0.0.0/8 is no public network"),
        (REHEARSAL[0], [*REHEARSAL[1], "fe80::/64"], "fe80::/64 is no public network"),
    ],
)
def test_an_odd_list_is_refused(ipv4: list[str], ipv6: list[str], said: str) -> None:
    with pytest.raises(RangesRefused) as refused:
        checked(ipv4, ipv6)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.lists(st.one_of(networks4, nonsense), max_size=12), st.lists(st.one_of(networks6, nonsense), max_size=8))
def test_whatever_comes_is_refused_or_safe(ipv4: list[str], ipv6: list[str]) -> None:
    try:
        ranges = checked(ipv4, ipv6)
    except RangesRefused:
        return
    for version, texts in ((4, ranges.ipv4), (6, ranges.ipv6)):
        assert len(texts) >= MINIMUM[version]
        assert all(ip_network(text).version == version for text in texts)
        assert all(ip_network(text).prefixlen >= WIDEST[version] for text in texts)
    assert checked(ranges.ipv4, ranges.ipv6) == ranges


@given(st.permutations(FALLBACK.ipv4), st.permutations(FALLBACK.ipv6))
def test_the_same_list_gives_the_same_ranges(ipv4: list[str], ipv6: list[str]) -> None:
    assert checked(ipv4, ipv6) == FALLBACK


@given(st.sampled_from(FALLBACK.ipv4), st.integers(0, 7))
def test_no_list_opens_the_door_for_everyone(range4: str, prefix: int) -> None:
    with pytest.raises(RangesRefused):
        checked([*FALLBACK.ipv4, str(ip_network((range4.split("/")[0], prefix), strict=False))], FALLBACK.ipv6)


def test_the_type_is_frozen() -> None:
    with pytest.raises(AttributeError):
        FALLBACK.ipv4 = ()  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(FALLBACK, CloudflareRanges)
