"""A real machine after its bootstrap, and what the tests do to it again and again."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning import tools
from provisioning.host import bootstrap_hash, user_data
from provisioning.origin import ProxyOptions, configuration
from provisioning.proxies import PROGRAMS, Kind, Program
from provisioning.ranges import CloudflareRanges, checked
from rehearsal.cloud import machine, network
from rehearsal.cloud.world import World
from tests.provisioning.pki import Pair

KINDS: tuple[Kind, ...] = tuple(PROGRAMS)
USER_DATA = {kind: user_data(cloud="aws", proxy=kind) for kind in KINDS}
SENTINEL = "/var/lib/origin/bootstrapped"
RANGES: CloudflareRanges = checked(network.EDGE_RANGES_V4, network.EDGE_RANGES_V6)
HOSTNAME = "example.com"


@dataclass(frozen=True, kw_only=True)
class Site:
    """One site's certificates, and the document that `origin configure` gets for it."""

    server: Pair
    clients: Pair
    client: Pair

    @classmethod
    def make(cls) -> Site:
        clients = Pair.authority("origin pulls")
        return cls(
            server=Pair.authority("origin CA").issue(HOSTNAME, HOSTNAME, f"*.{HOSTNAME}"),
            clients=clients,
            client=clients.issue("Cloudflare"),
        )

    def document(self, *, proxy: Kind = "caddy", keys: list[Any] | None = None, **options: Any) -> dict[str, Any]:
        """What the program sends, with more of the proxy's options; the test may change it."""
        asked = {"health_path": "/health", "restart_wait": 1, "max_body": 1_000_000, **options}
        files = {
            **configuration(
                hostname=HOSTNAME, redirects=[f"www.{HOSTNAME}"], ranges=RANGES, proxy=ProxyOptions(kind=proxy, **asked)
            ),
            "tls/certificate.pem": self.server.certificate,
            "tls/key.pem": self.server.key,
            "tls/client-ca.pem": self.clients.certificate,
        }
        return {"files": files} if keys is None else {"files": files, "authorized_keys": keys}

    def expectation(self, **changes: str) -> dict[str, str]:
        return {
            "hostname": HOSTNAME,
            "leaf": self.server.certificate,
            "certificate": self.client.certificate,
            "key": self.client.key,
            **changes,
        }


@dataclass(frozen=True, kw_only=True)
class OriginHost:
    """A machine by its id."""

    world: World
    id: str
    proxy: Kind
    ipv4: str
    ipv6: str

    @property
    def program(self) -> Program:
        return PROGRAMS[self.proxy]

    def run(self, *argv: str, input: str | None = None, check: bool = True, timeout: float = 180) -> str:
        """Its stdout; with `check`, a failure of the command fails the test with all it said."""
        done = self.tried(*argv, input=input, timeout=timeout)
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def tried(self, *argv: str, input: str | None = None, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        return machine.execute(
            self.world,
            self.id,
            argv,
            input=input or "",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def configure(self, document: dict[str, Any]) -> dict[str, Any]:
        """`origin configure`'s summary."""
        return json.loads(self.run("origin", "configure", input=json.dumps(document)))

    def refused(self, command: str, document: object) -> str:
        """The one line with which `origin <command>` refuses."""
        done = self.tried("origin", command, input=document if isinstance(document, str) else json.dumps(document))
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("origin", "status", "--json"))

    def path(self, path: str) -> Path:
        """A file of the running machine, as this host reaches it."""
        return Path(f"/proc/{machine.init_pid(self.world, self.id)}/root") / path.lstrip("/")

    def bootstrapped(self, *, seconds: float = 240) -> None:
        """Waits for the sentinel; fails with the bootstrap's log."""
        deadline = time.monotonic() + seconds
        while not (machine.init_pid(self.world, self.id) and self.path(SENTINEL).exists()):
            log = self.path("/var/log/cloud-init-output.log") if machine.init_pid(self.world, self.id) else None
            said = log.read_text() if log and log.exists() else ""
            assert "bootstrap: failed" not in said, said[-3000:]
            assert time.monotonic() < deadline, f"no sentinel after {seconds} s: {said[-3000:]}"
            time.sleep(0.2)
        assert self.path(SENTINEL).read_text() == f"{bootstrap_hash(USER_DATA[self.proxy])}\n"

    def install_tools(self) -> None:
        """As the program does it: as `deploy`, from standard input."""
        self.run("runuser", "-u", "deploy", "--", "sh", "-c", tools.INSTALL, input=tools.archive())


def serving_throughout(host: OriginHost, site: Site) -> Iterator[str]:
    """A fixture's body: the generation that serves before a test, and must after it, in the same process."""
    main_pid = ("systemctl", "show", "-P", "MainPID", host.program.unit)
    before = host.configure(site.document(proxy=host.proxy))["generation"]
    pid = host.run(*main_pid)
    yield before
    assert host.status()["generation"] == before
    assert host.run(*main_pid) == pid
    assert json.loads(host.run("origin", "verify", input=json.dumps(site.expectation())))["verified"]


def boot(world: World, id: str, *, public_key: str, proxy: Kind = "caddy") -> OriginHost:
    """A machine that has just been switched on with our user data. machine.destroy() removes it."""
    found = machine.addresses(world, "digitalocean")
    machine.create(
        world,
        id,
        hostname=id,
        user_data=USER_DATA[proxy],
        public_keys=[public_key],
        ipv4=found.ipv4,
        ipv6=found.ipv6,
        progress=print,
    )
    return OriginHost(world=world, id=id, proxy=proxy, ipv4=found.ipv4, ipv6=found.ipv6)
