"""One release of an edited copy of the user's app, watched from all sides; several lines of checks 6 and 8 read it.

It carries a canary among the app's secrets, and goes out under a steady load.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.checks import load
from rehearsal.checks.line import Failed
from rehearsal.checks.site import Site, problem
from rehearsal.engine import Result
from rehearsal.rehearsal import Rehearsal

CANARY_NAME = "REHEARSAL_CANARY"
LOAD_LIMIT = 180  # seconds


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was seen. `said` is every word that preview and up gave out; `commands` are the host's command lines."""

    before: str
    after: str
    canary: str
    preview: Result
    up: Result
    load: dict[str, Any]
    said: str
    commands: frozenset[str]


_kept: dict[Site, Trial | Exception] = {}


def trial(site: Site) -> Trial:
    """The trial release of this run of the checks, made when it is first asked for. It stays live until put back."""
    if site not in _kept:
        try:
            _kept[site] = _made(site)
        except Exception as error:
            _kept[site] = error
    made = _kept[site]
    if isinstance(made, Trial):
        return made
    raise Failed(f"the trial release did not go out: {made}")


def edited(copy: Path, entrypoint: str, text: str) -> None:
    """Append a line to the module that the entrypoint names."""
    stem = copy.joinpath(*entrypoint.partition(":")[0].split("."))
    candidates = [stem.with_suffix(".py"), stem / "__init__.py"]
    candidates += [copy / "src" / path.relative_to(copy) for path in candidates]
    module = next(path for path in candidates if path.exists())
    module.write_text(f"{module.read_text()}\n{text}\n")


def _made(site: Site) -> Trial:
    canary = f"canary{secrets.token_hex(16)}"
    said: list[str] = []
    watched = Rehearsal(site.stack, lambda text: said.append(text), lambda event: said.append(repr(event)))
    site.remember_release()
    before = site.live()
    with site.copy_of_app() as copy:
        edited(copy, site.app["entrypoint"], f"# {secrets.token_hex(8)}")
        changes: Mapping[str, Mapping[str, Any]] = {"app": {"source": str(copy)}, "secrets": {CANARY_NAME: canary}}
        preview = watched.preview(changes)
        if not preview.ok:
            raise Failed(f"preview: {problem(preview)}")
        with _commands(site) as commands, steady(site) as report:
            up = watched.up(changes)
    said += [repr(preview), repr(up), json.dumps(watched.engine.outputs(), default=str)]
    if not up.ok:
        raise Failed(problem(up))
    return Trial(
        before=before,
        after=site.live(),
        canary=canary,
        preview=preview,
        up=up,
        load=report,
        said="\n".join(said),
        commands=frozenset(commands),
    )


@contextlib.contextmanager
def steady(site: Site, *, slow: bool = True, kept: bool = True) -> Iterator[dict[str, Any]]:
    """Load on the site from a visitor for as long as the block runs; the report is filled in when it ends.

    Not `kept` is for a block that changes a record: the stand-in edge is nginx, which then closes visitors' idle
    connections, also under a request that is on its way.
    """
    streams = [stream for stream in _streams(site, slow) if kept or not stream["keep"]]
    with loaded(site, streams, limit=LOAD_LIMIT) as report:
        yield report


@contextlib.contextmanager
def loaded(site: Site, streams: Sequence[Mapping[str, Any]], *, limit: float) -> Iterator[dict[str, Any]]:
    """The same with streams of one's own (see load), for `limit` seconds at most."""
    arguments = {"hostname": site.hostname, "ca": str(site.ca), "limit": limit, "streams": streams}
    place = site.world.namespace("visitor")
    argv = ["ip", "netns", "exec", place, sys.executable, "-I", load.__file__, json.dumps(arguments)]
    report: dict[str, Any] = {}
    with subprocess.Popen(
        argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        try:
            # Only from now on something can be lost. Nothing to read: it ended, and says why below.
            process.stdout.readline()
            yield report
            out, err = process.communicate(timeout=load.PATIENCE + 30)
        finally:
            process.kill()
    if process.returncode:
        raise Failed(f"the load generator failed: {err.strip()[-300:]}")
    report.update(json.loads(out))


def _streams(site: Site, slow: bool) -> Sequence[dict[str, Any]]:
    """GET and POST, on kept and new connections, some slow; an app without such pages gets its health page alone."""

    def stream(name: str, method: str, path: str, *, body: int = 0, every: float, keep: bool) -> dict[str, Any]:
        return {"name": name, "method": method, "path": path, "body": body, "every": every, "keep": keep}

    def get(path: str, name: str) -> list[dict[str, Any]]:
        kept = [stream(f"{name}, kept connection", "GET", path, every=0.05, keep=True)] * 2
        return [*kept, stream(f"{name}, new connection", "GET", path, every=0.1, keep=False)]

    streams = get(site.health_path, "GET")
    if site.says_who():
        streams += [stream("GET /whoami", "GET", "/whoami", every=0.1, keep=True)]
        seconds = "/slow?seconds=1.5"
        streams += [stream("slow GET", "GET", seconds, every=0.0, keep=keep) for keep in (True, False) if slow]
        streams += [stream("POST, kept connection", "POST", "/echo", body=20_000, every=0.05, keep=True)]
        streams += [stream("POST, new connection", "POST", "/echo", body=200_000, every=0.2, keep=False)]
    else:
        # Whatever the app thinks of it: the same answer before, during and after the release is the right one.
        streams += [stream("POST", "POST", site.health_path, body=1000, every=0.1, keep=True)]
    return [{**one, "sees": _status(site, one)} for one in streams]


def _status(site: Site, stream: Mapping[str, Any]) -> int:
    if stream["method"] == "GET":
        return 200
    data = ["--data-binary", "x" * 1000, "--header", "Content-Type: application/octet-stream"]
    return site.fetch(stream["path"], *data).status


@contextlib.contextmanager
def _commands(site: Site) -> Iterator[set[str]]:
    """Every command line that is seen on the host while the block runs, many looks a second."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for pid in site.pids():
                with contextlib.suppress(OSError):
                    seen.add(Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " "))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
