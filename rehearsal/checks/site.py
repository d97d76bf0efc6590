"""The site under check: what the stack says of it, and hands to reach it with from every place to stand."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from rehearsal.checks import curl, knock
from rehearsal.checks.line import expect
from rehearsal.cloud import authorities, daemon, machine, network
from rehearsal.engine import Result
from rehearsal.rehearsal import PROJECT, Rehearsal

HELLO = {
    "source": str(PROJECT / "examples/hello"),
    "entrypoint": "hello:app",
    "health": {"path": "/health"},
    "environment": {},
    "release_command": None,
    "exclude": [],
}
"""The app that says what reaches it, in place of the user's own for a moment."""

Family = Literal[4, 6]


class Site:
    """One stack that is up. Everything the checks change they change through it, so that it can be put back."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.world = rehearsal.world
        self.stack = rehearsal.stack
        written = rehearsal.stack.section("site")
        self.hostname: str = written["hostname"]
        self.redirects: tuple[str, ...] = tuple(written.get("redirects") or ())
        self.app: dict[str, Any] = rehearsal.stack.section("app")
        self.health_path: str = (self.app.get("health") or {}).get("path", "/")
        self.proxy = rehearsal.proxy
        outputs = rehearsal.outputs()
        self.ipv4: str = outputs["ipv4"]
        self.ipv6: str | None = outputs.get("ipv6")
        machines = self.world.store.items(machine.COLLECTION)
        self.machine_id = next(id for id, described in machines.items() if described["ipv4"] == self.ipv4)
        self.url = f"https://{self.hostname}"
        self.ca = rehearsal.public_ca
        self._own_release: str | None = None

    @property
    def addresses(self) -> list[str]:
        """The origin's own, IPv4 first."""
        return [self.ipv4, *([self.ipv6] if self.ipv6 else [])]

    # From outside

    def fetch(self, url: str, *options: str, place: str = "visitor", family: Family = 4) -> curl.Answer:
        """What curl sees of a URL, or of a path on the site, from a place."""
        argv = ["curl", "--silent", "--show-error", f"-{family}", "--cacert", str(self.ca), "--max-time", "30"]
        whole = f"{self.url}{url}" if url.startswith("/") else url
        done = network.exec_in(
            self.world, place, [*argv, *options, *curl.WRITE_OUT, whole], capture_output=True, timeout=60
        )
        return curl.answer(done.stdout, done.stderr)

    def knock(self, place: str, knocks: Sequence[knock.Knock]) -> list[knock.Result]:
        """Try them all side by side from a place."""
        argv = [sys.executable, "-I", knock.__file__]
        done = self.rehearsal.at(place, argv, input=json.dumps([asdict(one) for one in knocks]), check=True)
        return [knock.Result(**result) for result in json.loads(done.stdout)]

    def await_answer(self, path: str | None = None, *, seconds: float = 60, status: int = 200) -> float:
        """Seconds until a visitor gets that status again. Raises Failed when the bound is up."""
        started = monotonic()
        while (seen := self.fetch(path or self.health_path, "--max-time", "15")).status != status:
            expect(monotonic() - started < seconds, f"after {seconds:.0f} s visitors still see {seen}, not {status}")
            sleep(0.1)
        return monotonic() - started

    # From inside

    def inside(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on the host as root, by the machine's console and not by SSH, which counts logins."""
        return machine.execute(
            self.world, self.machine_id, argv, **{"text": True, "capture_output": True, "timeout": 60, **options}
        )

    def read(self, *argv: str, **options: Any) -> str:
        """The same, its output. Raises Failed when the command fails."""
        done = self.inside(*argv, **options)
        expect(done.returncode == 0, f"on the host, {' '.join(argv)[:80]}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def live(self) -> str:
        """The id of the release that serves."""
        return Path(self.read("readlink", "/srv/app/current.sock")).parent.name

    def main_pid(self, unit: str) -> int:
        """0 when it does not run."""
        return int(self.read("systemctl", "show", "--value", "--property=MainPID", unit))

    def pids(self) -> list[int]:
        """Every process of the host, as this machine numbers them."""
        pids: list[int] = []
        for folder, _, _ in os.walk(daemon.cgroup(self.world, machine.running_group(self.machine_id))):
            with suppress(OSError):  # cgroups come and go
                pids += map(int, Path(folder, "cgroup.procs").read_text().split())
        return pids

    def journal(self, since: str, *options: str) -> str:
        """What the host's journal holds after a cursor that `journal_cursor` gave."""
        self.read("journalctl", "--sync")
        return self.read("journalctl", "--no-pager", "--output=cat", f"--after-cursor={since}", *options)

    def journal_cursor(self) -> str:
        return self.read("journalctl", "--lines=0", "--show-cursor", "--quiet").rpartition("cursor: ")[2]

    # What passes for Cloudflare

    @cached_property
    def client_pair(self) -> str:
        """The zone's own client certificate and key, as the stand-in Cloudflare was given them (PEM)."""
        stored = self.world.store.items("cloudflare/origin_pull_certificates").values()
        zones = {id for id, zone in self.world.store.items("cloudflare/zones").items() if zone["name"] == self.zone}
        own = [item for item in stored if item["zone_id"] in zones]
        expect(own, "no client certificate was uploaded for the zone")
        newest = max(own, key=lambda item: item.get("uploaded_on") or "")
        return f"{newest['certificate'].strip()}\n{newest['private_key'].strip()}\n"

    @cached_property
    def shared_pair(self) -> str:
        """The client certificate that every Cloudflare customer's requests carry (PEM)."""
        pair = authorities.shared_client(self.world)
        return f"{pair.certificate.strip()}\n{pair.private_key.strip()}\n"

    @property
    def zone(self) -> str:
        """The zone's name."""
        return self.stack.section("site")["zone"]

    # The app

    def says_who(self) -> bool:
        """Whether the live app tells what reaches it, as examples/hello does on /whoami."""
        seen = self.fetch("/whoami").json()
        return isinstance(seen, dict) and {"remote_addr", "scheme", "host", "headers"} <= seen.keys()

    @cached_property
    def unsettled(self) -> str:
        """What `up` would change now; empty, or else everything that goes through `up` is left alone."""
        return ", ".join(changed(self.rehearsal.preview()))

    @contextmanager
    def hello(self) -> Iterator[None]:
        """The site with examples/hello in place of the user's app for as long as the block runs."""
        self.remember_release()
        result = self.rehearsal.up({"app": HELLO})
        try:
            expect(result.ok, f"examples/hello did not go out in the app's place: {problem(result)}")
            yield
        finally:
            self.put_back()

    @contextmanager
    def copy_of_app(self) -> Iterator[Path]:
        """A copy of the app's folder, to be edited; the user's own is never touched."""
        source = (PROJECT / self.app["source"]).resolve()
        with tempfile.TemporaryDirectory(prefix="rehearsal-app-") as folder:
            copy = Path(folder, "app")
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__"))
            yield copy

    def remember_release(self) -> None:
        """From here on the live release is the user's own, which `put_back` returns to.

        Raises Failed when the program would change more than is up by now: that is not the checks' to do.
        """
        expect(not self.unsettled, f"not tried: the program changed since the last `./rehearse up`: {self.unsettled}")
        self._own_release = self._own_release or self.live()

    def put_back(self) -> None:
        """Make the user's own release the live one again, and the program's state agree. Does nothing when it is."""
        if self._own_release is None:
            return
        if self.live() != self._own_release:
            self.read("/usr/local/sbin/release", "rollback", self._own_release)
        result = self.rehearsal.up()
        expect(result.ok, f"the stack could not be put back: {problem(result)}; run `./rehearse up`")
        self._own_release = None


def changed(result: Result) -> list[str]:
    """What a run changed or would change, in words; the problem, when it failed."""
    found = [f"{step.op} {step.name}" for step in result.steps if step.op not in ("same", "read")]
    return found if result.ok else [problem(result)]


def problem(result: Result) -> str:
    """Why a run failed, on one line."""
    return " ".join(" ".join(error.text.split()) for error in result.errors)[:600] or "no reason was given"


def nonce() -> str:
    """A word that is found in a log only when what carried it got there."""
    return f"rehearsed-{secrets.token_hex(8)}"
