"""A check that can't fail is a defect: each promise is broken on purpose, and its line must say so."""

from __future__ import annotations

import base64
import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from rehearsal.checks import canaries, firewalls, https, recovery, redirects, remote_login, trial, visitor
from rehearsal.checks.line import Line
from rehearsal.checks.site import Site
from rehearsal.checks.throwaway import Throwaway
from rehearsal.cloud import edge, firewall

pytestmark = pytest.mark.machines

CADDYFILE = "/etc/origin/current/Caddyfile"
# Past systemd, whose reload would be refused for most of what is done here.
RELOAD = f"caddy reload --config {CADDYFILE} --adapter caddyfile --address unix//run/caddy/admin.sock --force 2>&1"


def refuses(line: Line, site: Site, *words: str) -> None:
    """The line fails, and says what is wrong."""
    outcome = line.run(0, site)
    assert outcome.status == "failed", outcome.detail
    for word in words:
        assert word in outcome.detail


@contextlib.contextmanager
def open_to_all(site: Site) -> Iterator[None]:
    """No cloud firewall in front of the machine."""
    kept = site.world.store.get(firewall.COLLECTION, site.machine_id)
    assert kept
    firewall.apply(site.world, site.machine_id, None)
    try:
        yield
    finally:
        site.world.store.put(firewall.COLLECTION, site.machine_id, kept)
        firewall.load(site.world)


@contextlib.contextmanager
def zone_setting(site: Site, setting: str, value: str) -> Iterator[None]:
    """A setting of the zone, changed by hand."""
    (id,) = site.world.store.items("cloudflare/zones")
    key = f"{id}.{setting}"
    kept = site.world.store.get("cloudflare/settings", key)
    assert kept
    site.world.store.put("cloudflare/settings", key, {**kept, "value": value})
    edge.apply(site.world)
    try:
        yield
    finally:
        site.world.store.put("cloudflare/settings", key, kept)
        edge.apply(site.world)


@contextlib.contextmanager
def on_host(site: Site, path: str, text: str | None, *, after: str = "true") -> Iterator[None]:
    """A file on the host with another text, None for none; `after` is run when it is there and when it is gone."""
    there = site.inside("test", "-e", path).returncode == 0
    kept = site.read("cat", path) if there else None

    def put(content: str | None) -> None:
        if content is None:
            site.read("rm", "-f", path)
        else:
            site.read("sh", "-c", f'mkdir -p "$(dirname {path})"; cat > {path}', input=f"{content}\n")
        site.read("sh", "-c", after)

    try:
        put(text)
        yield
    finally:
        put(kept)


def caddyfile(site: Site, edit: Callable[[str], str]) -> contextlib.AbstractContextManager[None]:
    """The proxy's configuration, edited and loaded."""
    before = site.read("cat", CADDYFILE)
    after = edit(before)
    assert after != before
    return on_host(site, CADDYFILE, after, after=RELOAD)


def without(*starts: str) -> Callable[[str], str]:
    """Leaves out the lines that start so."""
    return lambda text: "\n".join(line for line in text.splitlines() if not line.strip().startswith(starts))


def without_client_auth(text: str) -> str:
    return re.sub(r"\n\s*client_auth \{\n.*?\n\s*\}", "", text, count=1, flags=re.DOTALL)


def test_the_cloud_firewall_open_to_all(site: Site) -> None:
    with open_to_all(site):
        refuses(firewalls.outside, site, "on 22 (open)")
        refuses(remote_login.operator_only, site, "visitor")


def test_ports_that_refuse_instead_of_being_filtered(site: Site) -> None:
    chain = "chain input { type filter hook input priority -10; tcp dport 8080 reject with tcp reset; }"
    with open_to_all(site):
        site.read("nft", "-f", "-", input=f"table inet rude {{ {chain}; }}")
        try:
            refuses(firewalls.outside, site, "8080 (closed)")
        finally:
            site.read("nft", "delete", "table", "inet", "rude")


def test_flexible(site: Site) -> None:
    with zone_setting(site, "ssl", "flexible"):
        refuses(https.ipv4, site, "522")
        refuses(https.body, site)


def test_http_is_not_redirected(site: Site) -> None:
    with zone_setting(site, "always_use_https", "off"):
        refuses(redirects.to_https, site)


def test_a_redirect_loop(site: Site) -> None:
    with zone_setting(site, "ssl", "off"):
        refuses(redirects.to_https, site)


def test_unproxied_records(site: Site) -> None:
    store = site.world.store
    kept = {id: r for id, r in store.items("cloudflare/records").items() if r["name"] == site.hostname}
    for id, record in kept.items():
        store.put("cloudflare/records", id, {**record, "proxied": False})
    edge.apply(site.world)
    try:
        refuses(https.dns, site, "not in Cloudflare's ranges")
    finally:
        for id, record in kept.items():
            store.put("cloudflare/records", id, record)
        edge.apply(site.world)


def test_no_client_certificate_demanded(site: Site) -> None:
    with caddyfile(site, without_client_auth):
        refuses(firewalls.strangers, site, "answered")
        refuses(visitor.neighbour, site, "answered")


def test_the_shared_client_certificate_is_taken(site: Site) -> None:
    with caddyfile(site, lambda text: text.replace("require_and_verify", "require")):
        refuses(firewalls.strangers, site, "shared client certificate")


def test_the_zones_own_client_certificate_is_not_taken(site: Site) -> None:
    with on_host(site, "/etc/origin/current/tls/client-ca.pem", site.ca.read_text(), after=RELOAD):
        refuses(firewalls.control, site, "turned away")
        refuses(https.ipv4, site)


def test_forged_headers_are_passed_on(site: Site) -> None:
    with caddyfile(site, without("request_header")):
        refuses(visitor.over_ipv4, site, "headers forged")


def test_any_address_is_believed(site: Site) -> None:
    with caddyfile(
        site, lambda text: text.replace("client_ip_headers CF-Connecting-IP", "client_ip_headers True-Client-IP")
    ):
        refuses(visitor.over_ipv6, site, "6.6.6.6")


def test_the_visitors_address_is_lost(site: Site) -> None:
    with caddyfile(site, without("trusted_proxies", "client_ip_headers")):
        refuses(visitor.over_ipv4, site, "the app sees")
        refuses(visitor.worker, site, "the app sees")


def test_a_start_without_client_ca_is_not_refused(site: Site) -> None:
    lax = "[Service]\nExecStartPre=\nExecReload=\nExecReload=/bin/true"
    path = "/run/systemd/system/caddy.service.d/zz.conf"
    with on_host(site, path, lax, after="systemctl daemon-reload"):
        refuses(firewalls.broken_ca_reload, site, "not refused")


def test_passwords_at_ssh(site: Site) -> None:
    # First of all files: sshd takes the first value it reads.
    lax = "PasswordAuthentication yes\nAuthenticationMethods any"
    with on_host(site, "/etc/ssh/sshd_config.d/00-a.conf", lax, after="systemctl restart ssh"):
        refuses(remote_login.keys_only, site, "password")


def test_root_at_ssh(site: Site) -> None:
    lax = "PermitRootLogin yes\nAllowUsers deploy root"
    with on_host(site, "/etc/ssh/sshd_config.d/00-a.conf", lax, after="systemctl restart ssh"):
        refuses(remote_login.keys_only, site, "root")


def secret_key(site: Site) -> str:
    environment = site.read("cat", f"/srv/app/releases/{site.live()}/environment")
    return environment.partition('SECRET_KEY="')[2].partition('"')[0]


@pytest.mark.parametrize("encoded", [False, True])
def test_a_secret_in_a_file(site: Site, encoded: bool) -> None:
    text = f"session signed with {secret_key(site)}; done"
    leak = base64.b64encode(text.encode()).decode() if encoded else text
    with on_host(site, "/var/log/leak.log", leak):
        refuses(canaries.disk, site, "SECRET_KEY", "/var/log/leak.log")


def test_a_secret_that_others_may_read(site: Site) -> None:
    path = f"/srv/app/releases/{site.live()}/environment"
    modes = [["755", f"/srv/app/releases/{site.live()}"], ["644", path]]
    before = [site.read("stat", "-c", "%a", file) for _, file in modes]
    for mode, file in modes:
        site.read("chmod", mode, file)
    try:
        refuses(canaries.disk, site, path)
        refuses(canaries.other_users, site, "nobody", "SECRET_KEY")
    finally:
        for mode, (_, file) in zip(before, modes, strict=True):
            site.read("chmod", mode, file)


def test_a_secret_in_the_state(site: Site) -> None:
    leak = site.world.root / "engine/leak.json"
    leak.write_text(secret_key(site))
    try:
        refuses(canaries.state, site, "SECRET_KEY")
    finally:
        leak.unlink()


def test_a_secret_in_the_journal(site: Site) -> None:
    """The last of the canaries' tests: the journal does not forget."""
    site.read("systemd-cat", "echo", f"the key is {secret_key(site)}")
    try:
        refuses(canaries.logs, site, "SECRET_KEY", "the journal")
    finally:
        site.read("journalctl", "--rotate")
        site.read("sh", "-c", "journalctl --vacuum-time=1us; rm -f /var/log/journal/*/*@*.journal")


def test_an_app_that_stays_down(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_BOUND", 3.0)
    path = "/run/systemd/system/app@.service.d/zz.conf"
    try:
        with on_host(site, path, "[Service]\nRestart=no", after="systemctl daemon-reload"):
            refuses(recovery.app, site, "did not come back")
    finally:
        site.read("systemctl", "start", f"app@{site.live()}")


def test_the_load_notices_lost_requests(site: Site) -> None:
    with trial.steady(site) as report:
        # The socket too: while systemd holds it a killed Caddy may lose nothing.
        site.read("sh", "-c", "systemctl stop proxy.socket caddy && sleep 1 && systemctl start proxy.socket caddy")
        site.await_answer()
    assert report["failed"]
    assert report["requests"] > report["failed"]


def test_the_load_loses_nothing_by_itself(site: Site) -> None:
    site.await_answer()
    with trial.steady(site) as report:
        site.read("sleep", "1")
    assert not report["failures"]
    assert report["requests"] > 20
    assert any("slow" in name for name in report["p99"])


def test_leftovers_are_found(site: Site) -> None:
    other = Throwaway(site)
    assert other.left_behind() == []
    name = other.world.namespace("forgotten")
    other.root.rmdir()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        assert name in " ".join(other.left_behind())
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
        other.home.rmdir()
