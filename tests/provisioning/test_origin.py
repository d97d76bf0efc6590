from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from provisioning.origin import STOP_TIMEOUT, ProxyOptions, below, configuration
from provisioning.proxies import PROGRAMS, Kind
from provisioning.ranges import FALLBACK
from tests.provisioning.golden import Golden

SITE: Any = {
    "hostname": "example.com",
    "redirects": ["www.example.com"],
    "ranges": FALLBACK,
}


KINDS: tuple[Kind, ...] = tuple(PROGRAMS)


def files(kind: Kind) -> dict[str, str]:
    options = ProxyOptions(kind=kind, health_path="/health", static=("/static", "/favicon.ico"), uploads=("/uploads",))
    return configuration(**SITE, proxy=options)


def written(kind: Kind) -> str:
    return files(kind)[PROGRAMS[kind].configuration]


@pytest.mark.parametrize("kind", KINDS)
def test_golden(kind: Kind, snapshot: SnapshotAssertion) -> None:
    golden = snapshot.use_extension(Golden)
    for name, text in files(kind).items():
        assert text == golden(name=name)


def test_every_block_of_sites_of_caddys_demands_a_client_certificate() -> None:
    text = written("caddy")
    sites = re.findall(r"^https://\S* \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert len(sites) == 3  # the site, its redirect, any other name
    assert all(re.match(r"\timport origin\n|\ttls \{\n\t\timport cloudflare_only\n", site) for site in sites)
    assert text.count("mode require_and_verify") == 1
    assert "auto_https off" in text


def test_nginx_demands_a_client_certificate_above_all_its_servers() -> None:
    text = written("nginx")
    before, *servers = re.split(r"^\tserver \{\n", text, flags=re.MULTILINE)
    assert len(servers) == 3
    assert before.count("ssl_verify_client on;") == text.count("ssl_verify_client") == 1
    assert all(server.count("listen 443 ssl") == server.count("listen [::]:443 ssl") == 1 for server in servers)


def test_apache_demands_a_client_certificate_above_all_its_hosts() -> None:
    before, *hosts = written("apache").split("<VirtualHost ")
    assert len(hosts) == 3
    assert before.count("\nSSLVerifyClient require\n") == written("apache").count("SSLVerifyClient") == 1
    assert all("\tSSLEngine on\n" in host for host in hosts)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_is_open_to_more_than_cloudflare(kind: Kind) -> None:
    for text in (written(kind), files(kind)["edge.nft"]):
        found = re.findall(r"[0-9a-f]*[.:][0-9a-f.:]*/\d+", text)
        assert {str(ip_network(range)) for range in found} == set(FALLBACK.all)
    for word in ("acme", "issuer", "on_demand", ":80", "::/0", "h3", "quic", "private_ranges"):
        assert word not in written(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ranges_are_in_all_three_places(kind: Kind) -> None:
    for range in FALLBACK.all:
        assert len(re.findall(rf"[ \t']{re.escape(range)}[ ;\n']", written(kind))) == 2  # believed, let in
        assert files(kind)["edge.nft"].count(f"\t{range},") == 1


@pytest.mark.parametrize(
    ("kind", "redirect", "skip"),
    [("caddy", "redir", "log_skip"), ("nginx", "301", "SUCCESS:/"), ("apache", "Redirect permanent", "!= '/health'")],
)
def test_nothing_is_said_of_what_is_not_asked_for(kind: Kind, redirect: str, skip: str) -> None:
    bare = configuration(hostname="example.com", redirects=(), ranges=FALLBACK, proxy=ProxyOptions(kind=kind))
    for word in (redirect, skip):
        assert word in written(kind)
        assert word not in bare[PROGRAMS[kind].configuration]


@pytest.mark.parametrize("path", ["health", "/a b", "/a{b}", '/a"', "/a\nrespond *", "/*", ""])
def test_a_health_path_that_needs_quoting_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="health path"):
        ProxyOptions(health_path=path)


@pytest.mark.parametrize("path", ["static", "/", "/a b", "/a/", "/.git", "/a/../b", "/a)", '/"', "/a{b}", "/a\n", "/*"])
def test_a_path_of_files_that_needs_quoting_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        ProxyOptions(static=(path,))
    with pytest.raises(ValueError, match="letters, digits"):
        ProxyOptions(uploads=(path,))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_looked_for_on_disk_unless_asked_for(kind: Kind) -> None:
    bare = configuration(**SITE, proxy=ProxyOptions(kind=kind))[PROGRAMS[kind].configuration]
    for word in ("/public/static", "/public/immutable", "/served", "max-age=60", "sandbox", "@app"):
        assert word not in bare
        assert word in written(kind) or (word, kind) in (("@app", "caddy"), ("@app", "apache"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/static/a.css", True),
        ("/static/a/b-c_d/Ä ö (1).css", True),
        ("/robots.txt", True),
        ("/robotsAtxt", False),
        ("/robots.txt2", False),
        ("/statics/a.css", False),
        ("/a/static/a.css", False),
        *((f"/static/{name}", False) for name in (".env", "a/../b", "a//b", "a/", "a\\b", "a\0b", "a?b", "..", "a/.b")),
    ],
)
def test_what_is_looked_for_on_disk(asked: str, found: bool) -> None:
    assert bool(re.search(below(("/static", "/robots.txt")), asked)) is found


@pytest.mark.parametrize("kind", KINDS)
def test_uwsgi_s_own_protocol_is_spoken_where_it_is_asked_for(kind: Kind) -> None:
    assert "uwsgi/app.sock" not in written(kind)
    if not PROGRAMS[kind].uwsgi:
        with pytest.raises(ValueError, match=f"{kind} does not speak"):
            ProxyOptions(kind=kind, uwsgi=True)
        return
    options = ProxyOptions(kind=kind, uwsgi=True, uploads=("/uploads",))
    text = configuration(**SITE, proxy=options)[PROGRAMS[kind].configuration]
    ways = {"nginx": ["uwsgi_pass unix:", "proxy_pass http:"], "apache": ["|uwsgi://", "|http://"]}[kind]
    assert text.count(ways[0]) == text.count(ways[1]) > 0, "each way to the app is there in both protocols"
    if kind == "nginx":  # Apache passes on in either what is set once
        told = dict(re.findall(r"^\s*proxy_set_header (\S+) (\S+);$", text, re.MULTILINE))
        variables = dict(re.findall(r"^\s*uwsgi_param HTTP_(\S+) ([^\s\"]+)(?: if_not_empty)?;$", text, re.MULTILINE))
        assert told.pop("Connection") == "$app_connection"
        assert {name.upper().replace("-", "_"): value for name, value in told.items()} == variables


@pytest.mark.parametrize("seconds", [-1, STOP_TIMEOUT])
def test_a_grace_period_that_the_unit_would_cut_off_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="grace period"):
        ProxyOptions(grace_period=seconds)


@given(st.text(max_size=30))
def test_no_hostname_brings_syntax_along(hostname: str) -> None:
    for kind in KINDS:
        options = ProxyOptions(kind=kind)
        try:
            configuration(hostname=hostname, redirects=(), ranges=FALLBACK, proxy=options)
        except ValueError:
            continue
        assert re.fullmatch(r"[a-z0-9.-]+", hostname)
