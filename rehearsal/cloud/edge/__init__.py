"""The edge: a real nginx between visitors and origins that does what Cloudflare documents for the account's zones.

`apply(world)` after every change of the store's collections (listed in zone.py); it is cheap when nothing changed.
Besides nginx it keeps a diagnoser, which finds out why an origin gave no answer, and the world's DNS.

Not modelled: caching, compression and br, HTTP/3, HTTP/2 to the origin, ports other than 80 and 443, rewriting of pages
(automatic_https_rewrites), the automatic choice of a mode, rules, and the firewall for visitors. Differs: the Server
header is nginx's; an answer without any status line passes as HTTP/0.9 instead of being a 520; HTTP/2 is on for every
zone when one has it on; a zone that asks for a higher TLS minimum than another ends the connection after the handshake
and not in it.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2

from rehearsal.cloud import authorities, daemon, dns
from rehearsal.cloud.edge import diagnose
from rehearsal.cloud.network import PLACES
from rehearsal.cloud.world import World, WorldFailed
from rehearsal.cloud.zone import TLS_VERSIONS, EdgeRefused, Zone, sites, zones

__all__ = ["EdgeFailed", "EdgeRefused", "Timeouts", "apply", "log", "set_timeouts", "stop"]

PLACE = "edge"
_NGINX = "edge"
_DIAGNOSER = "edge-diagnoser"
WORKER_SEEN_AS = "2a06:98c0:3600::103"
WORKER_ZONE = "worker.example"
"""Whose Worker the world's worker is: a zone of another account."""


class EdgeFailed(WorldFailed):
    """nginx refused its configuration or did not take it up; the message has nginx's own words."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long the edge waits for an origin, in seconds. Cloudflare's own: connect 19, response 100, send 30."""

    connect: int = 3
    response: int = 100
    send: int = 30


def apply(world: World) -> None:
    """Makes the edge and the DNS what the store says, whole or not at all; starts them if need be.

    When it returns, new connections meet the new state; requests under way are finished by the old one. Raises
    EdgeRefused for a store that can't be modelled, EdgeFailed when nginx does not take the configuration.
    """
    with world.lock(PLACE):
        folder = _folder(world)
        folder.mkdir(mode=0o700, exist_ok=True)
        files = _Files(folder / "tls")
        text = _configuration(world, files)
        _start_diagnoser(world)
        current = folder / "nginx.conf"
        master = _master(world)
        if master is None or not current.exists() or current.read_text() != text:
            _check(world, text)
            (folder / "nginx.conf.new").replace(current)
            if master is None:
                _start(world)
            else:
                _reload(world, master)
        files.prune()
        dns.apply(world)


def stop(world: World) -> None:
    """Stops the edge and the DNS and removes their files. Already gone is fine."""
    with world.lock(PLACE):
        daemon.stop(world, _NGINX)
        daemon.stop(world, _DIAGNOSER)
        _diagnoser_socket(world).unlink(missing_ok=True)
        shutil.rmtree(_folder(world), ignore_errors=True)
        dns.stop(world)


def set_timeouts(world: World, timeouts: Timeouts) -> None:
    """Kept in the world from the next `apply` on."""
    world.store.put(PLACE, "timeouts", asdict(timeouts))


def log(world: World) -> Path:
    """One JSON object a line for each request, with the origin that answered."""
    return _folder(world) / "access.log"


class _Files:
    """Certificates named after their content, so that a changed one changes the configuration that names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: set[Path] = set()

    def keep(self, text: str) -> Path:
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
        self.kept.add(path)
        return path

    def prune(self) -> None:
        for path in set(self.folder.glob("*.pem")) - self.kept:
            path.unlink()


def _configuration(world: World, files: _Files) -> str:
    known = zones(world)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    offered = {version for zone in known.values() for version in zone.tls}
    worker = PLACES["worker"]
    variables: dict[str, Any] = {
        "folder": _folder(world),
        "diagnoser": _diagnoser_socket(world),
        "timeouts": _timeouts(world),
        "worker": {
            "addresses": [address.partition("/")[0] for address in (worker.ipv4, worker.ipv6) if address],
            "seen_as": WORKER_SEEN_AS,
            "zone": WORKER_ZONE,
        },
        "tls": tuple(v for v in TLS_VERSIONS.values() if v in offered or not known),
        "http2": any(zone.http2 for zone in known.values()),
        "trust": files.keep(authorities.origin(world).certificate + authorities.public(world).certificate),
        "certificates": {id: files.keep(_visitor_pem(world, zone)) for id, zone in known.items()},
        "clients": {id: _client_file(world, zone, files) for id, zone in known.items()},
        "sites": sites(world),
    }
    return environment.get_template("nginx.conf.j2").render(variables)


def _visitor_pem(world: World, zone: Zone) -> str:
    pair = authorities.visitor_certificate(world, zone.id, zone.name)
    return pair.certificate + pair.private_key


def _client_file(world: World, zone: Zone, files: _Files) -> str:
    """The path of the client pair, or "" when origin pulls are off."""
    if zone.client is None:
        return ""
    if isinstance(zone.client, tuple):
        certificate, private_key = zone.client
    else:
        shared = authorities.shared_client(world)
        certificate, private_key = shared.certificate, shared.private_key
    return str(files.keep(f"{certificate.strip()}\n{private_key.strip()}\n"))


def _timeouts(world: World) -> Timeouts:
    return Timeouts(**(world.store.get(PLACE, "timeouts") or {}))


def _folder(world: World) -> Path:
    return world.root / "edge"


def _diagnoser_socket(world: World) -> Path:
    return world.runtime / "diagnoser.sock"


def _start_diagnoser(world: World) -> None:
    path = _diagnoser_socket(world)
    if not daemon.running(world, _DIAGNOSER):
        path.unlink(missing_ok=True)
        daemon.start(world, _DIAGNOSER, [sys.executable, "-I", diagnose.__file__, str(path)], place=PLACE)
    daemon.await_ready(world, _DIAGNOSER, path)


def _check(world: World, text: str) -> None:
    new = _folder(world) / "nginx.conf.new"
    new.touch(mode=0o600)
    new.write_text(text)
    done = subprocess.run(
        ["ip", "netns", "exec", world.namespace(PLACE), "nginx", "-t", "-q", "-e", "stderr", "-c", str(new)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EdgeFailed(f"nginx refuses the edge's configuration {new}: {done.stderr.strip()}")


def _start(world: World) -> None:
    daemon.stop(world, _NGINX)  # workers that outlived a killed master hold the ports
    ready = _folder(world) / "nginx.pid"
    ready.unlink(missing_ok=True)
    configuration = str(_folder(world) / "nginx.conf")
    daemon.start(world, _NGINX, ["nginx", "-e", "stderr", "-c", configuration], place=PLACE)
    daemon.await_ready(world, _NGINX, ready)


def _reload(world: World, master: int) -> None:
    old = _workers(world, master)
    daemon.send(world, _NGINX, signal.SIGHUP)
    deadline = time.monotonic() + 10
    while True:
        workers = _workers(world, master)
        if workers and not workers & old:
            return
        if time.monotonic() > deadline:
            tail = (_folder(world) / "error.log").read_text(errors="replace")[-1000:].strip()
            raise EdgeFailed(f"nginx did not take up the edge's new configuration: {tail}")
        time.sleep(0.01)


def _master(world: World) -> int | None:
    pid = daemon.main_pid(world, _NGINX)
    return pid if pid is not None and "master process" in _title(pid) else None


def _workers(world: World, master: int) -> set[int]:
    """The workers that accept connections; those that are shutting down have stopped doing so."""
    procs = (daemon.cgroup(world, _NGINX) / "cgroup.procs").read_text().split()
    return {pid for pid in map(int, procs) if pid != master and _title(pid) == "nginx: worker process"}


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0 ")
    except OSError:
        return ""
