"""One throwaway world for the edge's tests: its network, an edge, and naive origins without machines."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rehearsal.cloud import authorities, daemon, edge, network
from rehearsal.cloud.authorities import Pair
from rehearsal.cloud.world import World

ZONE = "example.com"
ZONE_ID = "zone-1"
# Where the origins listen. Nothing listens on `refused`; `silent` is a machine that is off, `unreachable` has no route.
ADDRESSES = {
    "good": "198.19.1.2",
    "public": "198.19.1.3",
    "self-signed": "198.19.1.4",
    "expired": "198.19.1.5",
    "other-name": "198.19.1.6",
    "no-tls": "198.19.1.7",
    "refused": "198.19.1.8",
    "silent": "198.19.200.2",
    "unreachable": "192.0.2.1",
    "redirecting": "198.19.1.9",
    "requires-own": "198.19.1.10",
    "requires-own-12": "198.19.1.11",
    "requires-shared": "198.19.1.12",
    "v6": "2001:db8:d0:1::2",
}


@dataclass(frozen=True, kw_only=True)
class Response:
    """What curl got. headers: names in lower case, the values of each in order."""

    code: int
    status: int
    version: str
    redirects: int
    headers: dict[str, list[str]]
    body: str
    error: str

    @property
    def seen(self) -> Any:
        """What the origin says it saw."""
        return json.loads(self.body)

    @property
    def origin_headers(self) -> dict[str, list[str]]:
        """The request's headers as they reached the origin, names in lower case."""
        headers: dict[str, list[str]] = {}
        for name, value in self.seen["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        return headers


@dataclass(frozen=True, kw_only=True)
class Account:
    """The Cloudflare account of a world, as the provider's handlers write it, and curl to look at the outcome."""

    world: World
    own_pulls: Pair

    def record(self, name: str, *contents: str, type: str | None = None, proxied: bool = True) -> str:
        """Replaces a name's records; gives the full name."""
        hostname = ZONE if name == "@" else f"{name}.{ZONE}"
        for id, item in self.world.store.items("cloudflare/records").items():
            if item["name"] == hostname:
                self.world.store.delete("cloudflare/records", id)
        for content in contents:
            kind = type or ("AAAA" if ":" in content else "A")
            record = {"zone_id": ZONE_ID, "name": hostname, "type": kind, "content": content, "proxied": proxied}
            self.world.store.put("cloudflare/records", f"{hostname}-{content}", {**record, "ttl": 1})
        return hostname

    def set(self, **settings: str) -> None:
        """Puts the zone's settings to exactly these, the others to their defaults, and applies."""
        for id in self.world.store.items("cloudflare/settings"):
            self.world.store.delete("cloudflare/settings", id)
        for name, value in settings.items():
            setting = {"zone_id": ZONE_ID, "setting_id": name, "value": value}
            self.world.store.put("cloudflare/settings", f"{ZONE_ID}.{name}", setting)
        edge.apply(self.world)

    def pulls(self, *, enabled: bool, own: Pair | None = None) -> None:
        """Origin pulls on or off, with the zone's own certificate or Cloudflare's shared one; not applied yet."""
        self.world.store.put("cloudflare/origin_pulls", ZONE_ID, {"enabled": enabled})
        self.world.store.delete("cloudflare/origin_pull_certificates", "own")
        if own:
            pair = {"certificate": own.certificate, "private_key": own.private_key}
            certificate = {"zone_id": ZONE_ID, "status": "active", **pair}
            self.world.store.put("cloudflare/origin_pull_certificates", "own", certificate)

    def curl_command(self, url: str, *options: str) -> list[str]:
        trust = str(authorities.public_file(self.world))
        return ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", trust, *options, url]

    def curl(self, url: str, *options: str, place: str = "visitor") -> Response:
        """Asks from a place. `code` is curl's own exit code, 0 when it got an answer."""
        report = ["--write-out", '%{stderr}\n{"info": %{json}, "headers": %{header_json}}']
        command = self.curl_command(url, *report, *options)
        done = network.exec_in(self.world, place, command, capture_output=True, text=True)
        error, _, rest = done.stderr.partition("\n{")
        report = json.loads("{" + rest)
        return Response(
            code=done.returncode,
            status=report["info"]["http_code"],
            version=report["info"]["http_version"],
            redirects=report["info"]["num_redirects"],
            headers=report["headers"],
            body=done.stdout,
            error=error,
        )


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    world = World(tmp_path_factory.mktemp("edge"))
    try:
        network.ensure(world)
        account = _account(world)
        _start_origins(account)
        edge.set_timeouts(world, edge.Timeouts(connect=3, response=4, send=3))
        edge.apply(world)
        yield account
    finally:
        edge.stop(world)
        daemon.kill(daemon.cgroup(world))
        network.remove(world)
        shutil.rmtree(world.runtime, ignore_errors=True)


@pytest.fixture(autouse=True)
def fresh(account: Account) -> None:
    """Every test begins with default settings, origin pulls off and one record for each origin."""
    for id in account.world.store.items("cloudflare/records"):
        account.world.store.delete("cloudflare/records", id)
    for name, address in ADDRESSES.items():
        account.record(name, address)
    account.pulls(enabled=False)
    account.set()


def _account(world: World) -> Account:
    world.store.put("cloudflare/zones", ZONE_ID, {"name": ZONE, "account": "ours"})
    own_ca = authorities.new_authority("The zone's own CA")
    (world.root / "own-ca.pem").write_text(own_ca.certificate)
    return Account(world=world, own_pulls=own_ca.issue([], common_name="the zone's own"))


def _start_origins(account: Account) -> None:
    world = account.world
    place = network.Place(name="origin", ipv4="198.19.1.2/24", ipv6="2001:db8:d0:1::2/64")
    network.attach(world, place, device="origin")
    for address in ADDRESSES.values():
        if address.startswith("198.19.1."):
            command = ["ip", "address", "replace", f"{address}/24", "dev", "eth0"]
            network.exec_in(world, place.name, command, check=True)
    # The router says "no route" once a second at most, which is too rare for tests.
    unlimited = ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit"]
    network.exec_in(world, network.ROUTER, unlimited, check=True)
    daemon.start(
        world, "origin", [sys.executable, str(Path(__file__).with_name("origin.py")), json.dumps(_listeners(account))],
        place=place.name,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while "ready" not in daemon.log(world, "origin").read_text():
        assert time.monotonic() < deadline, daemon.log(world, "origin").read_text()
        time.sleep(0.05)


def _listeners(account: Account) -> list[dict[str, Any]]:
    world = account.world
    names = [ZONE, f"*.{ZONE}"]
    good = authorities.origin(world).issue(names)
    long_ago = datetime.now(UTC) - timedelta(days=60)
    certificates = {
        "good": good,
        "public": authorities.public(world).issue(names),
        "self-signed": authorities.new_authority("Nobody's CA").issue(names),
        "expired": authorities.origin(world).issue(names, since=long_ago, days=30),
        "other-name": authorities.origin(world).issue(["other.example"]),
        "no-tls": None,
        "redirecting": good,
        "requires-own": good,
        "requires-own-12": good,
        "requires-shared": good,
        "v6": good,
    }
    shared_ca = world.root / "shared-ca.pem"
    shared_ca.write_text(authorities.origin_pull(world).certificate)
    client_ca = {
        "requires-own": world.root / "own-ca.pem",
        "requires-own-12": world.root / "own-ca.pem",
        "requires-shared": shared_ca,
    }
    listeners = []
    for name, pair in certificates.items():
        path = world.root / f"{name}.pem"
        path.write_text(f"{pair.certificate}{pair.private_key}" if pair else "")
        common = {"address": ADDRESSES[name]}
        tls = {
            "certificate": str(path) if pair else None,
            "client_ca": str(client_ca[name]) if name in client_ca else None,
            "newest_tls": "1.2" if name.endswith("-12") else None,
        }
        plain_kind = "redirect" if name == "redirecting" else "app"
        listeners += [{**common, "port": 80, "kind": plain_kind}, {**common, "port": 443, "kind": "app", **tls}]
    return listeners
