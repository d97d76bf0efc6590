from __future__ import annotations

import re
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from provisioning.origin import STOP_TIMEOUT, ProxyOptions, configuration
from provisioning.ranges import FALLBACK
from provisioning.render import FILES
from tests.provisioning.golden import Golden

SITE = {
    "hostname": "example.com",
    "redirects": ["www.example.com"],
    "ranges": FALLBACK,
    "proxy": ProxyOptions(health_path="/health"),
}


@pytest.fixture
def files() -> dict[str, str]:
    return configuration(**SITE)


def test_golden(files: dict[str, str], snapshot: SnapshotAssertion) -> None:
    golden = snapshot.use_extension(Golden)
    assert files.keys() == {"Caddyfile", "edge.nft"}
    assert files["Caddyfile"] == golden(name="Caddyfile")
    assert files["edge.nft"] == golden(name="edge.nft")


def test_every_block_of_sites_demands_a_client_certificate(files: dict[str, str]) -> None:
    text = files["Caddyfile"]
    sites = re.findall(r"^https://\S* \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert len(sites) == 3  # the site, its redirect, any other name
    assert all(re.match(r"\timport origin\n|\ttls \{\n\t\timport cloudflare_only\n", site) for site in sites)
    assert text.count("mode require_and_verify") == 1
    assert "auto_https off" in text


def test_nothing_of_it_is_open_to_more_than_cloudflare(files: dict[str, str]) -> None:
    for text in files.values():
        found = re.findall(r"[0-9a-f]*[.:][0-9a-f.:]*/\d+", text)
        assert {str(ip_network(range)) for range in found} == set(FALLBACK.all)
    for word in ("acme", "issuer", "on_demand", "http://", ":80", "0.0.0.0", "::/0", "h3", "private_ranges"):
        assert word not in files["Caddyfile"]


def test_the_ranges_are_in_all_three_places(files: dict[str, str]) -> None:
    for range in FALLBACK.all:
        assert files["Caddyfile"].count(f" {range}") == 2  # whom to believe, whom to let in
        assert files["edge.nft"].count(f"\t{range},") == 1


def test_no_redirect_without_redirects() -> None:
    text = configuration(hostname="example.com", redirects=(), ranges=FALLBACK, proxy=ProxyOptions())["Caddyfile"]
    assert "redir" not in text
    assert "log_skip" not in text


def test_the_unit_waits_longer_than_the_proxy_does() -> None:
    unit = (FILES / "etc/systemd/system/caddy.service.d/origin.conf").read_text()
    assert f"\nTimeoutStopSec={STOP_TIMEOUT}s\n" in unit


@pytest.mark.parametrize("path", ["health", "/a b", "/a{b}", '/a"', "/a\nrespond *", "/*", ""])
def test_a_health_path_that_needs_quoting_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="health path"):
        ProxyOptions(health_path=path)


@pytest.mark.parametrize("seconds", [-1, STOP_TIMEOUT])
def test_a_grace_period_that_the_unit_would_cut_off_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="grace period"):
        ProxyOptions(grace_period=seconds)


@given(st.text(max_size=30))
def test_no_hostname_brings_syntax_along(hostname: str) -> None:
    try:
        text = configuration(hostname=hostname, redirects=(), ranges=FALLBACK, proxy=ProxyOptions())["Caddyfile"]
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9.-]+", hostname)
    assert f"\nhttps://{hostname} {{\n" in text
