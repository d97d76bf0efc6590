"""The app's releases on this host: build, switch, roll back. Run as root; see `release --help`.

A release is a folder /srv/app/releases/<id>. Its release.json is written last: a folder without one is half made and
any command sweeps it away. Its "state" goes new -> served (current.sock named it once) -> withdrawn (rolled back from).
What is live is said by one thing only, the symbolic link current.sock, which the proxy opens for every request. The
links current and previous follow it, for the proxy's static files: an open page of the release before asks for its own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from releasing.build import prepare, release_command
from releasing.environment import environment_file, read_environment
from releasing.host import INCOMING, MAINTENANCE, RELEASES, ROOT, VENVS, Refused, run, say, write
from releasing.journal import holder, note, one_at_a_time, tail
from releasing.serving import retire, start, sweep, switch, undone_unless_live, unhealthy
from releasing.store import digest_of, discard, facts, live, next_id, previous, prune, releases, remember

NEEDED = {"source": str, "sha256": str, "archive": str, "run": list}
DEFAULTS = {
    "requirements": [],  # pinned, with hashes; each installed where the app does not bring it
    "variables": {},  # public; the environment's come before them
    "environment": {},
    "health": {},  # path, host, timeout
    "maintenance_page": None,  # a file's path in the source
    "release_command": None,
    "release_timeout": 300,
    "keep": 5,
    "drain": 30,
}
MIN_FREE = 256 << 20  # bytes


def checked(manifest: Any) -> dict[str, Any]:
    types = (
        NEEDED
        | {key: type(value) for key, value in DEFAULTS.items()}
        | {
            "release_command": (list, type(None)),
            "maintenance_page": (str, type(None)),
        }
    )
    if not isinstance(manifest, dict):
        raise Refused("manifest: not a JSON object")
    if missing := NEEDED.keys() - manifest.keys():
        raise Refused(f"manifest: {', '.join(sorted(missing))} missing")
    if wrong := sorted(k for k, v in manifest.items() if k not in types or not isinstance(v, types[k])):
        raise Refused(f"manifest: {', '.join(wrong)} unknown or of another type")
    if not re.fullmatch(r"[0-9a-f]{64}", manifest["sha256"]) or manifest["source"] != manifest["sha256"][:12]:
        raise Refused("manifest: source must be the first 12 digits of sha256, which has 64 hexadecimal ones")
    if Path(manifest["archive"]).parent != INCOMING:
        raise Refused(f"manifest: archive {manifest['archive']!r} is not in {INCOMING}")
    environment_file(manifest.get("environment", {}))
    return DEFAULTS | manifest


def deploy(manifest: dict[str, Any], again: bool = False) -> str:
    """`again`: the live release once more under a new id, in place of the old one, without its release command."""
    digest, old = digest_of(manifest), live()
    if old and not again and facts(old)["digest"] == digest and not unhealthy(old):
        say(f"{old} is this release, live and healthy: nothing to do")
        return old
    if (free := shutil.disk_usage(ROOT).free) < MIN_FREE:
        raise Refused(f"{free >> 20} MiB free on {ROOT}; a release needs {MIN_FREE >> 20}")
    id = next_id(manifest["source"])
    with undone_unless_live(id):
        prepare(id, manifest, digest)
        if manifest["release_command"] and not again:
            say(f"{id}: {shlex.join(manifest['release_command'])}")
            release_command(id, manifest)
        start(id)
        switch(id)
    if old:
        retire(old, manifest["drain"])
        if again:
            discard(old)
    prune(manifest["keep"])
    return id


def rollback(id: str | None) -> str:
    old, id = live(), id or previous()
    if not id:
        raise Refused("there is no earlier release to go back to")
    if id == old or id not in releases():
        kept = ", ".join(i for i in releases() if i != old) or "none"
        raise Refused(f"{id} is {'live already' if id == old else 'not here'}; releases to go back to: {kept}")
    with undone_unless_live(id):
        start(id)
        if old:
            remember(old, state="withdrawn")
        switch(id)
    if old:
        retire(old, facts(id)["drain"])
    return id


def restart() -> str:
    if not (id := live()):
        raise Refused("no release is live")
    manifest = {key: value for key, value in facts(id).items() if key in DEFAULTS or key in NEEDED}
    return deploy(manifest | {"environment": read_environment(id)}, again=True)


def converge() -> str | None:
    """After a boot or a kill: the live release runs, nothing else does, nothing half made is left."""
    if not live() and (last := previous()):
        switch(last)
    if id := live():
        run("systemctl", "start", f"app@{id}")
    return live()


DEFAULT_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Back soon</title>
<body style="font: 1.2rem/1.5 system-ui; max-width: 34rem; margin: 20vh auto; padding: 0 1rem">
<h1>Back soon</h1><p>We are working on this site. Please try again in a few minutes.</p>
"""


def maintenance(wanted: str, page: Path | None) -> None:
    """While MAINTENANCE is there the proxy answers all with it and 503. No lock: it must help in a long deploy."""
    note(what=f"maintenance {wanted}", result="done")
    if wanted == "off":
        MAINTENANCE.unlink(missing_ok=True)
    else:
        write(MAINTENANCE, page.read_text() if page else page_of(live()) or DEFAULT_PAGE)
    say(f"maintenance is {wanted}")


def page_of(id: str | None) -> str | None:
    """The app's own maintenance page. Never through a link: root reads it, and it is shown to the world."""
    if not id or not (name := facts(id).get("maintenance_page")):
        return None
    src = RELEASES / id / "src"
    page = (src / name).resolve()
    if not page.is_file() or not page.is_relative_to(src.resolve()):
        raise Refused(f"maintenance_page: {name} is not a file of {id}")
    return page.read_text()


def status() -> dict[str, Any]:
    id = live()
    reason = unhealthy(id) if id else "no release is live"
    shown = ("source", "state", "served_at")
    return {
        "live": id,
        "previous": previous(),
        "healthy": not reason,
        "reason": reason,
        "maintenance": MAINTENANCE.exists(),
        "at_work": holder(),
        "releases": [{"id": i, "live": i == id} | {k: facts(i).get(k) for k in shown} for i in releases()],
    }


def show(found: dict[str, Any]) -> None:
    for each in found["releases"]:
        at = time.strftime("%F %T UTC", time.gmtime(each["served_at"])) if each["served_at"] else "never"
        print(f"{'*' if each['live'] else ' '} {each['id']}  {each['state']:<9}  since {at}")
    print("healthy" if found["healthy"] else f"not healthy: {found['reason']}")
    if found["maintenance"]:
        print("maintenance is on: every visitor gets 503")
    if found["at_work"]:
        print(found["at_work"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="release", description="The app's releases on this host.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("deploy", help="build and switch to the release that the JSON manifest on stdin describes")
    commands.add_parser("rollback", help="switch back; needs no network").add_argument("id", nargs="?")
    commands.add_parser("restart", help="the live release once more, without losing a request")
    commands.add_parser("converge", help="finish or undo an interrupted command; start what is live")
    commands.add_parser("status", help="fails unless healthy").add_argument("--json", action="store_true")
    commands.add_parser("list", help="the same, never fails").add_argument("--json", action="store_true")
    upkeep = commands.add_parser("maintenance", help="answer every visitor with 503 and a page, or serve again")
    upkeep.add_argument("wanted", choices=("on", "off"))
    upkeep.add_argument("page", nargs="?", type=Path, help="an HTML file on this host; default: the app's own")
    commands.add_parser("logs", help="the live release's journal").add_argument("-n", type=int, default=50)
    args = parser.parse_args()
    if os.geteuid():
        raise Refused(f"only root may; run: sudo release {args.command}")
    for folder in (RELEASES, VENVS, INCOMING):
        folder.mkdir(exist_ok=True)
    if args.command in ("status", "list"):
        found = status()
        print(json.dumps(found)) if args.json else show(found)
        return 0 if args.command == "list" or found["healthy"] else 1
    if args.command == "logs":
        if id := live():
            print(tail(f"app@{id}", args.n, read_environment(id)).lstrip("\n"))
        return 0
    if args.command == "maintenance":
        maintenance(args.wanted, args.page)
        return 0
    manifest = checked(json.load(sys.stdin)) if args.command == "deploy" else {}
    began, before = time.monotonic(), live()
    with one_at_a_time(args.command):
        sweep()
        if args.command == "deploy":
            now = deploy(manifest)
        elif args.command == "rollback":
            now = rollback(args.id)
        else:
            now = restart() if args.command == "restart" else converge()
    say(json.dumps({"live": now, "before": before, "seconds": round(time.monotonic() - began, 2)}))
    return 0
