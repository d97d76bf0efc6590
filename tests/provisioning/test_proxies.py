"""Every proxy on a machine of its own: nothing opens its door, no damage lets anybody in, and it gets up again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal.cloud import machine
from tests.provisioning.origin_host import KINDS, OriginHost, Site, serving_throughout

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def host(proxied: OriginHost) -> OriginHost:
    return proxied


@pytest.fixture
def serving(host: OriginHost, site: Site) -> Iterator[str]:
    yield from serving_throughout(host, site)


def varied(host: OriginHost, site: Site, mark: str) -> dict[str, Any]:
    """The same site in another generation."""
    document = site.document(proxy=host.proxy)
    document["files"][host.program.configuration] += f"\n# {mark}\n"
    return document


def await_active(host: OriginHost) -> None:
    host.run("timeout", "60", "sh", "-c", f"until systemctl -q is-active {host.program.unit}; do sleep 0.2; done")


def test_it_serves_and_says_so(host: OriginHost, serving: str) -> None:
    found = host.status()
    assert found["proxy"] == {"kind": host.proxy, "state": "active"}
    assert found["nftables"] == "active"
    assert found["generation"] == serving
    assert found["certificate_expires"] and found["client_ca_expires"]
    assert host.run("readlink", "/etc/origin/current").strip() == f"/etc/origin/generations/{serving}"


def test_the_same_again_changes_nothing(host: OriginHost, site: Site, serving: str) -> None:
    journal = ("journalctl", "-u", host.program.unit, "-o", "cat")
    reloads = host.run(*journal).count("Reloaded ")
    again = host.configure(site.document(proxy=host.proxy))
    assert (again["generation"], again["changed"]) == (serving, False)
    assert host.run(*journal).count("Reloaded ") == reloads


def test_a_new_certificate_is_shown_at_once(host: OriginHost, site: Site) -> None:
    renewed = Site(server=Site.make().server, clients=site.clients, client=site.client)
    assert host.configure(renewed.document(proxy=host.proxy))["changed"]
    assert json.loads(host.run("origin", "verify", input=json.dumps(renewed.expectation())))["verified"]
    assert host.configure(site.document(proxy=host.proxy))["changed"]
    assert "another certificate" in host.refused("verify", renewed.expectation())


def test_the_key_is_the_proxys_to_read_and_nobody_elses(host: OriginHost, serving: str) -> None:
    key = f"/etc/origin/generations/{serving}/tls/key.pem"
    user = host.program.user
    assert host.run("stat", "-c", "%U %G %a", key).strip() == f"root {user} 640"
    for reader, may in ((user, True), ("app", False), ("build", False), ("deploy", False)):
        assert (host.tried("runuser", "-u", reader, "--", "cat", key).returncode == 0) is may


BROKEN = {
    "caddy": ["", "example.com {", "nonsense", 'https://example.com {\n\trespond "hello"\n}\n'],
    "apache": ["", "<VirtualHost *:443>", "nonsense", "Listen 443\n"],
    "nginx": ["", "http {", "nonsense", "events {}\nhttp {\n\tserver {\n\t\tlisten 443;\n\t}\n}\n"],
}


@pytest.mark.parametrize("n", range(4))
def test_what_the_program_does_not_take_is_refused(host: OriginHost, site: Site, serving: str, n: int) -> None:
    document = site.document(proxy=host.proxy)
    document["files"][host.program.configuration] = BROKEN[host.proxy][n]
    assert host.refused("configure", document).startswith(f"origin: {host.program.configuration}: ")


def test_what_it_does_not_take_it_names(host: OriginHost, site: Site, serving: str) -> None:
    said = {"nginx": 'unknown directive "nonsense"', "apache": "Invalid command 'nonsense'", "caddy": "Caddyfile:"}
    document = site.document(proxy=host.proxy)
    document["files"][host.program.configuration] += "\nnonsense here;\n"
    assert said[host.proxy] in host.refused("configure", document)


def test_it_may_hold_two_descriptors_for_each_connection(host: OriginHost, serving: str) -> None:
    pid = host.run("systemctl", "show", "-P", "MainPID", host.program.unit).strip()
    (limits,) = [
        line for line in host.run("cat", f"/proc/{pid}/limits").splitlines() if line.startswith("Max open files")
    ]
    assert int(limits.split()[3]) >= 2 * 8192  # nginx's worker_connections


# What to write in place of what, and what is said of it.
OPEN_DOORS = {
    "caddy": {
        "no certificate": ("mode require_and_verify", "mode verify_if_given", "clients without a certificate"),
        "another name": ("strict_sni_host on", "strict_sni_host insecure_off", "the TLS name with the Host"),
        "port": ("default_bind fd/3 fd/4", "default_bind 0.0.0.0", "listens on 0.0.0.0:443, not on fd/3 and"),
        "admin": ("admin unix//run/caddy/admin.sock", "admin localhost:2019", "admin endpoint"),
    },
    "nginx": {
        "no certificate": ("ssl_verify_client on", "ssl_verify_client optional", "clients without a certificate"),
        "not a word of it": ("ssl_verify_client on;", "", "clients without a certificate"),
        "port": ("listen [::]:443 ssl;", "listen [::]:8443 ssl;", "listens on 443, [::]:443, [::]:8443, not on 443"),
        "plain": ("listen 443 ssl;", "listen 443;", "plain http"),
        "sessions": ("ssl_session_tickets off", "ssl_session_tickets on", "would resume sessions"),
    },
    "apache": {
        "no certificate": ("SSLVerifyClient require", "SSLVerifyClient optional", "clients without a certificate"),
        "not a word of it": ("SSLVerifyClient require", "", "clients without a certificate"),
        "port": ("Listen [::]:443", "Listen [::]:8443", "listens on 0.0.0.0:443, [::]:8443, not on"),
        "plain": ("\tServerName invalid\n\tSSLEngine on", "\tServerName invalid", "plain http"),
        "sessions": ("SSLSessionTickets off", "SSLSessionTickets on", "would resume sessions"),
        "another name": ('RewriteCond expr "%{SSL:', '#"%{SSL:', "the TLS name with the Host"),
    },
}


def test_a_valid_configuration_that_opens_the_door_is_refused(host: OriginHost, site: Site, serving: str) -> None:
    for how, (before, after, said) in OPEN_DOORS[host.proxy].items():
        document = site.document(proxy=host.proxy)
        text = document["files"][host.program.configuration]
        assert before in text, how
        document["files"][host.program.configuration] = text.replace(before, after)
        assert said in host.refused("configure", document), how


def test_what_is_not_taken_when_it_is_loaded_leaves_the_old_one(host: OriginHost, site: Site, serving: str) -> None:
    """Valid for every check, and still not loaded by the running one: it does not answer."""
    host.run("systemctl", "kill", "-s", "STOP", host.program.unit)
    try:
        assert "the old one stays" in host.refused("configure", varied(host, site, "another"))
    finally:
        host.run("systemctl", "kill", "-s", "CONT", host.program.unit)


DAMAGE = {
    "gone": "rm {}",
    "empty": "truncate -s0 {}",
    "garbage": "echo garbage > {}",
    "truncated": "truncate -s200 {}",
    "unreadable": "chmod 0 {}",
}


@pytest.mark.parametrize("name", ["client-ca.pem", "key.pem", "certificate.pem"])
def test_a_reload_with_bad_tls_files_is_refused_and_the_old_one_serves(
    host: OriginHost, serving: str, name: str
) -> None:
    path = f"/etc/origin/generations/{serving}/tls/{name}"
    host.run("cp", "-a", path, "/run/kept.pem")
    for how, damage in DAMAGE.items():
        host.run("sh", "-c", damage.format(path))
        try:
            assert host.tried("systemctl", "reload", host.program.unit).returncode != 0, how
            assert host.run("systemctl", "is-active", host.program.unit).strip() == "active"
        finally:
            host.run("cp", "-a", "/run/kept.pem", path)


def test_a_start_without_the_client_ca_is_refused_until_it_is_back(host: OriginHost, site: Site) -> None:
    unit = host.program.unit
    generation = host.configure(site.document(proxy=host.proxy))["generation"]
    path = f"/etc/origin/generations/{generation}/tls/client-ca.pem"
    host.run("mv", path, "/run/kept.pem")
    try:
        assert host.tried("systemctl", "restart", unit).returncode != 0
        time.sleep(12)  # past systemd's usual start limit of 5 in 10 s
        assert host.run("systemctl", "show", "-P", "SubState", unit).strip() not in ("failed", "dead", "running")
        assert "handshake" in host.refused("verify", site.expectation())
    finally:
        host.run("mv", "/run/kept.pem", path)
    await_active(host)
    host.run("origin", "verify", input=json.dumps(site.expectation()))


def test_killed_it_comes_back_every_time(host: OriginHost, site: Site) -> None:
    host.configure(site.document(proxy=host.proxy))
    for _ in range(6):
        host.run("systemctl", "kill", "-s", "KILL", host.program.unit)
        host.run("sleep", "0.5")
        await_active(host)
    host.run("origin", "verify", input=json.dumps(site.expectation()))


def test_it_survives_a_reboot_without_any_help(host: OriginHost, site: Site) -> None:
    host.configure(site.document(proxy=host.proxy))
    machine.power_off(host.world, host.id)
    machine.power_on(host.world, host.id)
    host.bootstrapped()
    await_active(host)
    host.run("origin", "verify", input=json.dumps(site.expectation()))
    assert "elements" in host.run("nft", "list", "set", "inet", "origin", "edge4")


def test_there_is_a_table_for_each() -> None:
    assert set(BROKEN) == set(OPEN_DOORS) == set(KINDS)
