"""A server as the release tool starts it, with a tap on its socket, on a host whose proxy serves the site."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from provisioning import app
from rehearsal.cloud import network
from rehearsal.rehearsal import PROJECT
from settings import App
from tests.provisioning.origin_host import HOSTNAME, OriginHost
from tests.provisioning.smuggling import attacker, generator, judge
from tests.rehearsal.cloud.standing import until

HELLO = PROJECT / "examples/hello"
_HERE = Path(__file__).parent
PATIENCE = 5.0
"""Seconds in which any server answers a request that is whole."""
_LINK, _FOLDER = "/srv/app/current.sock", "/run/smuggling"


def release(host: OriginHost, server: Mapping[str, Any], folder: Path, *, requirement: str = "") -> None:
    """Puts examples/hello, with its witness, live on a server. `requirement`: what the app itself brings of it."""
    source = folder / "app"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HELLO, source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_HERE / "seen.py", source)
    requirements = source / "requirements.txt"
    requirements.write_text(f"{requirements.read_text()}\n{requirement}\n")
    packed = app.archive(source, folder / "archives")
    settings = App.model_validate(
        {
            "source": str(source),
            "entrypoint": "seen:app",
            "server": server,
            "health": {"path": "/health", "timeout": 20},
            "drain": 2,
        }
    )
    manifest = {**app.manifest(packed, settings, "seen:app", HOSTNAME), "environment": {"SECRET_KEY": "x" * 40}}
    host.path(manifest["archive"]).write_bytes(packed.path.read_bytes())
    host.run("release", "deploy", input=json.dumps(manifest))


@contextlib.contextmanager
def tapped(host: OriginHost) -> Iterator[Path]:
    """The tap in the live release's place; gives the tap's socket as this host reaches it."""
    server = host.run("readlink", _LINK).strip()
    host.run("install", "-d", "-m", "0755", _FOLDER)
    host.run("sh", "-c", f"rm -f {_FOLDER}/*")
    host.path(f"{_FOLDER}/tap.py").write_text((_HERE / "tap.py").read_text())
    tap = ("python3", f"{_FOLDER}/tap.py", f"{_FOLDER}/http.sock", server, f"{_FOLDER}/notes")
    host.run("systemd-run", "--quiet", "--unit=tap", "--property=TimeoutStopSec=60", *tap)
    until(host.path(f"{_FOLDER}/http.sock").exists, seconds=20)
    _point(host, f"{_FOLDER}/http.sock")
    try:
        yield host.path(f"{_FOLDER}/http.sock")
    finally:
        _point(host, server)
        host.run("systemctl", "stop", "tap")


def _point(host: OriginHost, to: str) -> None:
    host.run("sh", "-c", f"ln -sfn {to} {_LINK}.new && mv -T {_LINK}.new {_LINK}")


def connections(host: OriginHost) -> Iterator[judge.Connection]:
    """What passed the last tap."""
    with host.path(f"{_FOLDER}/notes").open() as notes:
        for line in notes:
            note = json.loads(line)
            sent, answered = (base64.b64decode(note[name]) for name in ("sent", "answered"))
            yield judge.Connection(sent=sent, answered=answered, hung_up=note["hung_up"])


def attacked(host: OriginHost, attack: attacker.Attack, *, place: str | None = "edge") -> judge.Verdict:
    """From a place to stand; None is this host, past any proxy, straight to the server.

    What got no answer is tried again with patience: a server that is still silent waits for more than there is. But for
    what the proxy refuses when its head is already sent on: it hangs up without waiting for the server.
    """
    verdict, _ = _attacked(host, attack, place)
    if verdict.unanswered:
        patient = replace(attack, numbers=sorted(set(verdict.unanswered)), quiet=PATIENCE)
        again, statuses = _attacked(host, patient, place)
        verdict.disagreements += again.disagreements
        if any(not status.startswith("4") for status in statuses):
            verdict.disagreements += [f"case {number}: a whole request was waited upon" for number in again.unanswered]
    return verdict


def _attacked(host: OriginHost, attack: attacker.Attack, place: str | None) -> tuple[judge.Verdict, dict[str, int]]:
    """And how many of the attacker's cases were answered with which status."""
    argv = [sys.executable, "-m", attacker.__name__]
    with tapped(host) as tap:
        attack = attack if place else replace(attack, address=str(tap))
        options = {
            "input": json.dumps(asdict(attack)),
            "text": True,
            "stdout": subprocess.PIPE,
            "check": True,
            "cwd": PROJECT,
        }
        done = network.exec_in(host.world, place, argv, **options) if place else subprocess.run(argv, **options)
    result = attacker.Result(**json.loads(done.stdout))
    sent = (generator.case(attack.seed, number, with_http2=bool(attack.client)) for number in attack.numbers)
    verdict = judge.judge(connections(host), sent, proxied=place is not None)
    verdict.disagreements += result.leaks
    print(f"{sum(result.statuses.values())} cases, answers {result.statuses}, {verdict.connections} connections to the "
          f"server, {verdict.forwarded} whole requests, {verdict.seen} seen by the app")  # fmt: skip
    return verdict, result.statuses
