"""The stand-in edge does what Cloudflare documents, seen from where visitors stand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehearsal.cloud import daemon, edge, network
from tests.rehearsal.cloud.standing import commands
from tests.rehearsal.edge.conftest import ADDRESSES, ZONE, ZONE_ID, Account

pytestmark = pytest.mark.machines

UNANSWERED = {"refused": 521, "silent": 522, "unreachable": 523}
CERTIFICATES = ("good", "public", "self-signed", "expired", "other-name", "no-tls")


def statuses(account: Account, names: Iterable[str], scheme: str = "https") -> dict[str, int]:
    def ask(name: str) -> int:
        return account.curl(f"{scheme}://{name}.{ZONE}/").status

    names = list(names)
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


# Every mode, with every kind of certificate at the origin.


def test_off_serves_plain_http_only(account: Account) -> None:
    account.set(ssl="off", always_use_https="on")
    secure = account.curl(f"https://good.{ZONE}/a?b=c")
    assert (secure.status, secure.headers["location"]) == (301, [f"http://good.{ZONE}/a?b=c"])
    wanted = dict.fromkeys(CERTIFICATES, 200) | UNANSWERED
    assert statuses(account, wanted, "http") == wanted


def test_flexible_never_uses_the_origins_certificate(account: Account) -> None:
    account.set(ssl="flexible")
    wanted = dict.fromkeys(CERTIFICATES, 200) | UNANSWERED
    assert statuses(account, wanted) == wanted
    assert account.curl(f"https://good.{ZONE}/").seen["tls"] is False


def test_full_takes_any_certificate(account: Account) -> None:
    account.set(ssl="full")
    wanted = dict.fromkeys(CERTIFICATES, 200) | {"no-tls": 525} | UNANSWERED
    assert statuses(account, wanted) == wanted
    assert account.curl(f"https://self-signed.{ZONE}/").seen["tls"] is True


def test_strict_takes_good_certificates_only(account: Account) -> None:
    account.set(ssl="strict")
    bad = {"self-signed": 526, "expired": 526, "other-name": 526, "no-tls": 525}
    wanted = dict.fromkeys(CERTIFICATES, 200) | bad | UNANSWERED
    assert statuses(account, wanted) == wanted


@pytest.mark.parametrize("mode", ["full", "strict"])
def test_the_origin_is_asked_in_the_visitors_scheme(account: Account, mode: str) -> None:
    account.set(ssl=mode)
    assert account.curl(f"http://good.{ZONE}/").seen["tls"] is False
    assert account.curl(f"https://good.{ZONE}/").seen["tls"] is True


# Answers that are none.


@pytest.mark.parametrize(("path", "status"), [("empty", 520), ("garbage", 520), ("slow", 524)])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_is_none(account: Account, scheme: str, path: str, status: int) -> None:
    assert account.curl(f"{scheme}://good.{ZONE}/{path}").status == status


def test_the_origins_own_error_passes(account: Account) -> None:
    answer = account.curl(f"https://good.{ZONE}/bad")
    assert (answer.status, answer.seen) == (502, {"from": "origin"})


def test_error_pages(account: Account) -> None:
    plain = account.curl(f"https://refused.{ZONE}/")
    assert plain.body == "error code: 521\n"
    page = account.curl(f"https://refused.{ZONE}/", "-H", "Accept: text/html,*/*")
    assert page.headers["content-type"] == ["text/html; charset=UTF-8"]
    assert f"<title>refused.{ZONE} | 521: Web server is down</title>" in page.body
    assert page.headers["cf-ray"][0] in page.body
    assert "198.19" not in page.body  # nothing of the origin is given away


def test_a_record_that_leads_nowhere(account: Account) -> None:
    account.record("dangling", f"gone.{ZONE}", type="CNAME")
    account.record("alias", f"good.{ZONE}", type="CNAME")
    edge.apply(account.world)
    answer = account.curl(f"https://dangling.{ZONE}/")
    assert (answer.status, answer.body) == (530, "error code: 1016\n")
    assert account.curl(f"https://alias.{ZONE}/").status == 200


# Redirects.


def test_flexible_before_an_origin_that_redirects_loops(account: Account) -> None:
    account.set(ssl="flexible", always_use_https="on")
    once = account.curl(f"https://redirecting.{ZONE}/")
    assert (once.status, once.headers["location"]) == (308, [f"https://redirecting.{ZONE}/"])
    followed = account.curl(f"https://redirecting.{ZONE}/", "--location", "--max-redirs", "8")
    assert (followed.code, followed.redirects) == (47, 8)  # 47: too many redirects


@pytest.mark.parametrize("mode", ["full", "strict"])
def test_the_same_origin_does_not_loop_otherwise(account: Account, mode: str) -> None:
    account.set(ssl=mode)
    followed = account.curl(f"http://redirecting.{ZONE}/", "--location", "--max-redirs", "8")
    assert (followed.status, followed.redirects) == (200, 1)


def test_always_https_redirects_exactly_once(account: Account) -> None:
    account.set(ssl="strict", always_use_https="on")
    once = account.curl(f"http://good.{ZONE}/a%20b?c=d&e")
    assert (once.status, once.headers["location"]) == (301, [f"https://good.{ZONE}/a%20b?c=d&e"])
    followed = account.curl(f"http://good.{ZONE}/a%20b?c=d&e", "--location")
    assert (followed.status, followed.redirects, followed.seen["path"]) == (200, 1, "/a%20b?c=d&e")


def test_without_always_https_http_is_served(account: Account) -> None:
    assert account.curl(f"http://good.{ZONE}/").status == 200


# What visitors meet.


@pytest.mark.parametrize(
    ("path", "page", "status"),
    [
        ("/logo.png", "https://other.test/", 403),
        ("/Logo.JPEG?size=2", "https://other.test/", 403),
        ("/favicon.ico", f"https://{ZONE}.other.test/", 403),
        ("/logo.png", f"https://good.{ZONE}/page", 200),
        ("/logo.png", f"https://{ZONE}/", 200),
        ("/logo.png", "", 200),
        ("/hotlink-ok/logo.png", "https://other.test/", 200),
        ("/page", "https://other.test/", 200),
        ("/picture.webp", "https://other.test/", 200),
    ],
)
def test_images_are_refused_to_other_sites_pages(account: Account, path: str, page: str, status: int) -> None:
    account.set(ssl="strict")
    asked = [f"https://good.{ZONE}{path}", *(["--referer", page] if page else [])]
    assert account.curl(*asked).status == 200
    account.set(hotlink_protection="on")
    answer = account.curl(*asked)
    assert answer.status == status
    if status == 403:
        assert answer.body == "error code: 1011\n"


@pytest.mark.parametrize(
    ("minimum", "served"),
    [("1.0", {"1.0", "1.1", "1.2", "1.3"}), ("1.1", {"1.1", "1.2", "1.3"}), ("1.2", {"1.2", "1.3"}), ("1.3", {"1.3"})],
)
def test_minimum_tls(account: Account, minimum: str, served: set[str]) -> None:
    account.set(min_tls_version=minimum)

    def handshake(version: str) -> bool:
        only = [f"--tlsv{version}", "--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0"]
        answer = account.curl(f"https://good.{ZONE}/", *only)
        assert answer.code in (0, 35), answer.error  # 35: the handshake failed
        return answer.status == 200

    assert {version for version in ("1.0", "1.1", "1.2", "1.3") if handshake(version)} == served


def test_another_zones_lower_minimum_does_not_weaken_this_one(account: Account) -> None:
    store = account.world.store
    store.put("cloudflare/zones", "zone-2", {"name": "lower.example", "account": "ours"})
    record = {"zone_id": "zone-2", "name": "lower.example", "type": "A", "content": ADDRESSES["good"], "proxied": True}
    store.put("cloudflare/records", "lower", record)
    try:
        account.set(min_tls_version="1.2")
        only = ["--tlsv1.1", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]
        assert account.curl(f"https://good.{ZONE}/", *only).status == 0
        assert account.curl("https://lower.example/", *only).status == 200
        assert account.curl(f"https://good.{ZONE}/").status == 200
    finally:
        store.delete("cloudflare/zones", "zone-2")


def test_http2_and_its_setting(account: Account) -> None:
    assert account.curl(f"https://good.{ZONE}/").version == "2"
    account.set(http2="off")
    assert account.curl(f"https://good.{ZONE}/").version == "1.1"


def test_tls_1_3_can_be_switched_off(account: Account) -> None:
    account.set(tls_1_3="off")
    assert account.curl(f"https://good.{ZONE}/", "--tlsv1.3").code == 35
    assert account.curl(f"https://good.{ZONE}/").status == 200


def test_the_certificate_is_for_the_zone_and_one_level(account: Account) -> None:
    account.record("@", ADDRESSES["good"])
    account.record("a.b", ADDRESSES["good"])
    edge.apply(account.world)
    assert account.curl(f"https://{ZONE}/").status == 200
    assert account.curl(f"https://a.b.{ZONE}/").code == 60  # the certificate does not fit


def test_names_that_the_edge_does_not_know(account: Account) -> None:
    to_edge = ["--connect-to", "::198.18.16.10:"]
    assert account.curl("https://stranger.example/", *to_edge).code == 35
    stranger = account.curl("http://stranger.example/", *to_edge)
    assert (stranger.status, stranger.body) == (409, "error code: 1001\n")


# What the origin sees.

ADDED = {"cf-connecting-ip", "cf-ipcountry", "cf-ray", "cf-visitor", "cdn-loop", "x-forwarded-for", "x-forwarded-proto"}
VISITORS = {"-4": "198.18.64.10", "-6": "2001:db8:64::10"}


@pytest.mark.parametrize(("family", "address"), VISITORS.items())
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_headers_of_a_plain_request(account: Account, scheme: str, family: str, address: str) -> None:
    answer = account.curl(f"{scheme}://good.{ZONE}/", family)
    headers = answer.origin_headers
    assert set(headers) == ADDED | {"host", "accept", "accept-encoding", "user-agent", "connection"}
    assert headers["host"] == [f"good.{ZONE}"]
    assert headers["cf-connecting-ip"] == headers["x-forwarded-for"] == [address]
    assert headers["x-forwarded-proto"] == [scheme]
    assert headers["cf-visitor"] == [f'{{"scheme":"{scheme}"}}']
    assert headers["cf-ipcountry"] == ["XX"]
    assert headers["cdn-loop"] == ["cloudflare; loops=1"]
    assert headers["cf-ray"] == answer.headers["cf-ray"]
    assert re.fullmatch(r"[0-9a-f]{16}-[A-Z]{3}", headers["cf-ray"][0])
    assert answer.headers["cf-cache-status"] == ["DYNAMIC"]


@pytest.mark.parametrize(("family", "address"), VISITORS.items())
def test_forged_headers(account: Account, family: str, address: str) -> None:
    forged = {
        "CF-Connecting-IP": "203.0.113.7",
        "CF-Visitor": "forged",
        "CF-Ray": "forged",
        "CF-IPCountry": "forged",
        "X-Forwarded-Proto": "forged",
        "X-Forwarded-For": "203.0.113.7, 203.0.113.8",
        "CDN-Loop": "other",
        "X-Real-IP": "203.0.113.7",
        # Cloudflare passes these as they are: the origin has to deal with them.
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "Forwarded": "for=203.0.113.7",
        "True-Client-IP": "203.0.113.7",
        "CF_Connecting_IP": "203.0.113.7",
        "X_Real_IP": "203.0.113.7",
        "X_Forwarded_For": "203.0.113.7",
        "X-Dotted.Name": "dropped",
    }
    options = [option for name, value in forged.items() for option in ("-H", f"{name}: {value}")]
    headers = account.curl(f"https://good.{ZONE}/", family, *options).origin_headers
    assert headers["cf-connecting-ip"] == [address]
    assert headers["x-forwarded-for"] == [f"203.0.113.7, 203.0.113.8,{address}"]
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["cf-visitor"] == ['{"scheme":"https"}']
    assert headers["cf-ipcountry"] == ["XX"]
    assert headers["cdn-loop"] == ["other, cloudflare; loops=1"]
    assert headers["cf-ray"] != ["forged"]
    assert "x-real-ip" not in headers
    assert "x-dotted.name" not in headers
    for name in list(forged)[8:15]:
        assert headers[name.lower()] == [forged[name]]


@pytest.mark.parametrize("family", VISITORS)
def test_a_workers_requests(account: Account, family: str) -> None:
    forged = ["-H", "CF-Connecting-IP: 203.0.113.7", "-H", "X-Real-IP: 203.0.113.7", "-H", "CF-Worker: forged"]
    headers = account.curl(f"https://good.{ZONE}/", family, *forged, place="worker").origin_headers
    assert headers["cf-connecting-ip"] == headers["x-forwarded-for"] == ["2a06:98c0:3600::103"]
    assert headers["x-real-ip"] == ["203.0.113.7"]
    assert headers["cf-worker"] == ["worker.example"]


# How the origin is reached.


def test_origin_pulls(account: Account) -> None:
    hosts = ("requires-own", "requires-own-12", "requires-shared")

    def outcome() -> dict[str, int]:
        edge.apply(account.world)
        return statuses(account, hosts)

    assert outcome() == dict.fromkeys(hosts, 525)
    account.pulls(enabled=True)
    assert outcome() == {"requires-own": 525, "requires-own-12": 525, "requires-shared": 200}
    assert account.curl(f"https://requires-shared.{ZONE}/").seen["client"] == "Cloudflare"
    account.pulls(enabled=True, own=account.own_pulls)
    assert outcome() == {"requires-own": 200, "requires-own-12": 200, "requires-shared": 525}
    assert account.curl(f"https://requires-own.{ZONE}/").seen["client"] == "the zone's own"
    account.pulls(enabled=False, own=account.own_pulls)
    assert outcome() == dict.fromkeys(hosts, 525)
    # In strict the origin's certificate is judged first, whatever becomes of the client's.
    account.set(ssl="strict")
    assert outcome() == dict.fromkeys(hosts, 525)


@pytest.mark.parametrize("dead", UNANSWERED)
def test_failover_to_another_record(account: Account, dead: str) -> None:
    account.record("two", ADDRESSES[dead], ADDRESSES["good"])
    edge.apply(account.world)
    answers = [account.curl(f"https://two.{ZONE}/") for _ in range(4)]
    assert [(a.status, a.seen["address"]) for a in answers] == [(200, ADDRESSES["good"])] * 4


def test_both_families_are_used_and_a_body_survives_failover(account: Account) -> None:
    account.record("both", ADDRESSES["good"], ADDRESSES["v6"])
    account.record("two", ADDRESSES["refused"], ADDRESSES["good"])
    edge.apply(account.world)
    seen = {account.curl(f"https://both.{ZONE}/").seen["address"] for _ in range(8)}
    assert seen == {ADDRESSES["good"], ADDRESSES["v6"]}
    posts = [account.curl(f"https://two.{ZONE}/", "--data", "x" * 5000) for _ in range(4)]
    assert [post.seen["length"] for post in posts] == [5000] * 4


def test_no_answer_anywhere(account: Account) -> None:
    account.record("two", ADDRESSES["refused"], ADDRESSES["refused"])
    account.record("three", ADDRESSES["refused"], ADDRESSES["unreachable"])
    edge.apply(account.world)
    assert account.curl(f"https://two.{ZONE}/").status == 521
    assert account.curl(f"https://three.{ZONE}/").status in (521, 523)


def test_a_slow_answer_is_not_asked_for_again(account: Account) -> None:
    account.record("two", ADDRESSES["good"], ADDRESSES["v6"])
    edge.apply(account.world)
    before = account.curl(f"https://good.{ZONE}/count").seen.get("/slow", 0)
    assert account.curl(f"https://two.{ZONE}/slow").status == 524
    assert account.curl(f"https://good.{ZONE}/count").seen["/slow"] == before + 1


def test_origin_connections_are_kept(account: Account) -> None:
    url = f"https://good.{ZONE}/"
    done = network.exec_in(
        account.world, "visitor", account.curl_command(url, url), capture_output=True, text=True, check=True
    )
    first, second = re.findall(r'"connection": (\d+)', done.stdout)
    assert first == second


def test_bodies_up_to_100_mb(account: Account, tmp_path: Path) -> None:
    for size, status in ((100 * 2**20, 200), (100 * 2**20 + 1, 413)):
        body = tmp_path / "body"
        with body.open("wb") as file:
            file.truncate(size)
        answer = account.curl(f"https://good.{ZONE}/", "--data-binary", f"@{body}")
        assert answer.status == status
    chunked = account.curl(f"https://good.{ZONE}/", "--http1.1", "-H", "Transfer-Encoding: chunked", "--data", "abc")
    assert chunked.seen["length"] == 3


def test_a_response_streams(account: Account) -> None:
    command = account.curl_command(f"https://good.{ZONE}/hold", "--no-buffer")
    inside = ["ip", "netns", "exec", account.world.namespace("visitor"), *command]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "first\n"
        account.curl(f"https://good.{ZONE}/release")
        assert running.stdout.readline() == "second\n"


def test_websocket(account: Account) -> None:
    client = f"""
import socket, ssl
context = ssl.create_default_context(cafile={str(account.world.root / "public-ca.pem")!r})
secured = context.wrap_socket(socket.create_connection(("good.{ZONE}", 443)), server_hostname="good.{ZONE}")
secured.sendall(b"GET /upgrade HTTP/1.1\\r\\nHost: good.{ZONE}\\r\\n")
secured.sendall(b"Connection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
    head += secured.recv(1)
secured.sendall(b"hello\\n")
print(head.split()[1].decode(), secured.recv(100).decode())
"""
    done = network.exec_in(account.world, "visitor", ["python3", "-c", client], capture_output=True, text=True)
    assert done.stdout.split() == ["101", "HELLO"], done.stderr


# DNS.


def resolved(account: Account, name: str) -> set[str]:
    done = network.exec_in(account.world, "visitor", ["getent", "ahosts", name], capture_output=True, text=True)
    return {line.split()[0] for line in done.stdout.splitlines()}


def test_dns(account: Account) -> None:
    account.record("plain", "198.19.7.7", "198.19.7.8", "2001:db8:d0:7::7", proxied=False)
    account.record("alias", f"plain.{ZONE}", type="CNAME", proxied=False)
    account.record("*", ADDRESSES["good"])
    edge.apply(account.world)
    of_edge = {"198.18.16.10", "2001:db8:cf00::10"}
    assert resolved(account, f"good.{ZONE}") == of_edge
    assert resolved(account, f"v6.{ZONE}") == of_edge
    assert resolved(account, f"plain.{ZONE}") == {"198.19.7.7", "198.19.7.8", "2001:db8:d0:7::7"}
    assert resolved(account, f"alias.{ZONE}") == resolved(account, f"plain.{ZONE}")
    assert resolved(account, f"anything.{ZONE}") == of_edge
    assert account.curl(f"https://anything.{ZONE}/").status == 200
    account.record("*")
    edge.apply(account.world)
    assert resolved(account, f"anything.{ZONE}") == set()
    assert resolved(account, "elsewhere.example") == set()


# The edge's own life.


def pids(account: Account) -> dict[str, list[str]]:
    names = ("edge", "edge-diagnoser", "dns")
    found = {name: (daemon.cgroup(account.world, name) / "cgroup.procs").read_text().split() for name in names}
    # Workers of the configuration before end when their last connection does.
    return {name: [pid for pid in pids if not _is_ending(pid)] for name, pids in found.items()}


def _is_ending(pid: str) -> bool:
    try:
        return b"shutting down" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def test_apply_again_touches_nothing(account: Account) -> None:
    before = pids(account)
    edge.apply(account.world)
    assert pids(account) == before


def test_a_change_is_in_force_when_apply_returns(account: Account) -> None:
    for value, status in [("on", 301), ("off", 200)] * 3:
        account.set(always_use_https=value)
        assert account.curl(f"http://good.{ZONE}/").status == status


def test_what_cannot_be_modelled_changes_nothing(account: Account) -> None:
    before = pids(account)
    with pytest.raises(
        edge.EdgeRefused, match=r"example\.com: ssl is 'medium', not one of off, flexible, full, strict"
    ):
        account.set(ssl="medium")
    account.world.store.delete("cloudflare/settings", f"{ZONE_ID}.ssl")
    account.pulls(enabled=True, own=account.own_pulls)
    broken = account.world.store.get("cloudflare/origin_pull_certificates", "own")
    assert broken
    account.world.store.put("cloudflare/origin_pull_certificates", "own", {**broken, "certificate": "garbage"})
    with pytest.raises(edge.EdgeFailed, match="nginx refuses"):
        edge.apply(account.world)
    assert pids(account) == before
    assert account.curl(f"https://good.{ZONE}/").status == 200


@pytest.mark.parametrize("victim", ["edge", "edge-diagnoser", "dns"])
def test_killed_and_brought_back(account: Account, victim: str) -> None:
    pid = daemon.main_pid(account.world, victim)
    assert pid
    os.kill(pid, signal.SIGKILL)
    edge.apply(account.world)
    assert account.curl(f"https://good.{ZONE}/").status == 200
    assert account.curl(f"https://refused.{ZONE}/").status == 521


def test_stop_leaves_nothing(account: Account) -> None:
    edge.stop(account.world)
    edge.stop(account.world)
    assert not any(daemon.running(account.world, name) for name in ("edge", "edge-diagnoser", "dns"))
    root, runtime = str(account.world.root), str(account.world.runtime)
    ours = [command for command in commands() if "nginx" in command or "dnsmasq" in command]
    assert not [command for command in ours if root in command or runtime in command]
    assert not (account.world.root / "edge").exists()
    assert not (account.world.root / "dns").exists()
    assert not (account.world.runtime / "diagnoser.sock").exists()
    edge.apply(account.world)
    assert account.curl(f"https://good.{ZONE}/").status == 200
