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

from releasing.build import prepare, release_command, trim_cache
from releasing.console import inside
from releasing.environment import environment_file, read_environment
from releasing.host import INCOMING, MAINTENANCE, RELEASES, ROOT, VENVS, Refused, run, say
from releasing.journal import follow, history, holder, one_at_a_time
from releasing.serving import retire, start, sweep, switch, undone_unless_live, unhealthy
from releasing.store import code, digest_of, discard, facts, live, next_id, previous, prune, releases, remember
from releasing.upkeep import maintenance

NEEDED = {"source": str, "archive": str, "run": list}
DEFAULTS = {
    "sha256": None,  # the archive's; or else
    "commit": None,  # of a git repository, whose files have no checksum before they are fetched
    "inspect": {},  # of what is fetched: provisioning/inspection.py's
    "requirements": [],  # pinned, with hashes; each installed where the app does not bring it
    "packages": [],  # Debian's, for the server
    "variables": {},  # public; the environment's come before them
    "environment": {},
    "health": {},  # path, host, timeout
    "maintenance_page": None,  # a file's path in the source
    "error_page": None,  # another
    "static": {},  # places in the source by URL path, the first that is there
    "uploads": [],  # URL paths of folders in SHARED
    "release_command": None,
    "release_timeout": 300,
    "keep": 5,
    "drain": 30,
}
MIN_FREE = 256 << 20  # bytes


def checked(manifest: Any) -> dict[str, Any]:
    types: dict[str, tuple[type, ...]] = {key: (type(value),) for key, value in DEFAULTS.items()}
    types |= {key: (kind,) for key, kind in NEEDED.items()}
    types |= dict.fromkeys(("sha256", "commit", "maintenance_page", "error_page"), (str, type(None)))
    types["release_command"] = (list, type(None))
    if not isinstance(manifest, dict):
        raise Refused("manifest: not a JSON object")
    if missing := NEEDED.keys() - manifest.keys():
        raise Refused(f"manifest: {', '.join(sorted(missing))} missing")
    if wrong := sorted(k for k, v in manifest.items() if k not in types or not isinstance(v, types[k])):
        raise Refused(f"manifest: {', '.join(wrong)} unknown or of another type")
    manifest = DEFAULTS | manifest
    place, sha256, commit = manifest["archive"], manifest["sha256"], manifest["commit"]
    if not re.fullmatch(r"[0-9a-f]{40}", commit or "") if sha256 is None else not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Refused("manifest: sha256 must have 64 hexadecimal digits, or commit 40 in its place")
    if manifest["source"] != code(manifest)[:12]:
        raise Refused("manifest: source must be the first 12 digits of sha256 or commit")
    if commit and not re.fullmatch(rf"git\+https://[^\s@]+@{commit}", place):
        raise Refused(f"manifest: archive {place!r} is not git+https://…@{commit}")
    if not commit and not place.startswith("https://") and Path(place).parent != INCOMING:
        raise Refused(f"manifest: archive {place!r} is neither in {INCOMING} nor https://…")
    environment_file(manifest["environment"])
    return manifest


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
    if prune(manifest["keep"]):
        trim_cache()
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
    id = live_or_refused()
    manifest = {key: value for key, value in facts(id).items() if key in DEFAULTS or key in NEEDED}
    return deploy(DEFAULTS | manifest | {"environment": read_environment(id)}, again=True)


def converge() -> str | None:
    """After a boot or a kill: the live release runs, nothing else does, nothing half made is left."""
    if not live() and (last := previous()):
        switch(last)
    if id := live():
        run("systemctl", "start", f"app@{id}")
    return live()


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


def logs(id: str | None, lines: int, forever: bool, *, proxy: bool) -> None:
    """Of one release, or of the live one and, with `forever`, of each that follows it; or of the proxy."""
    if proxy:
        # A host has one of them.
        follow(["--unit=caddy", "--unit=nginx", "--unit=apache2"], lines, forever=forever)
        return
    if id and id not in releases():
        raise Refused(f"{id} is not here; releases: {', '.join(releases()) or 'none'}")
    # The slice has every release's lines, of those to come as well.
    whole = forever and not id
    follow(["_SYSTEMD_SLICE=system-app.slice" if whole else f"--unit=app@{id or live()}"], lines, forever=forever)


def show_history(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        took = f" in {entry['seconds']} s" if "seconds" in entry else ""
        by = " ".join(filter(None, (entry["who"], entry.get("key"))))
        print(f"{entry['at']}  {entry['what']}: {entry['result']}{took}, by {by}; live: {entry['live']}")
        if "reason" in entry:
            print(f"  {entry['reason']}")


def live_or_refused() -> str:
    if not (id := live()):
        raise Refused("no release is live")
    return id


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release", description="The app's releases on this host.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    command("deploy", "build and switch to the release that the JSON manifest on stdin describes")
    command("rollback", "switch back; needs no network").add_argument("id", nargs="?")
    command("restart", "the live release once more, without losing a request")
    command("converge", "finish or undo an interrupted command; start what is live")
    command("status", "fails unless healthy").add_argument("--json", action="store_true")
    command("list", "the same, never fails").add_argument("--json", action="store_true")
    past = command("history", "who did what, and what came of it")
    past.add_argument("-n", type=int, default=20, help="as many (20)")
    past.add_argument("--json", action="store_true")
    log = command("logs", "the live release's journal, without its secrets")
    log.add_argument("-n", type=int, default=50, help="as many lines (50)")
    log.add_argument("-f", "--follow", action="store_true", help="and each to come, of later releases too")
    whose = log.add_mutually_exclusive_group()
    whose.add_argument("--release", help="of this one")
    whose.add_argument("--proxy", action="store_true", help="of the proxy: its access log, a line of JSON a request")
    upkeep = command("maintenance", "answer every visitor with 503 and a page, or serve again")
    upkeep.add_argument("wanted", choices=("on", "off"))
    upkeep.add_argument("page", nargs="?", type=Path, help="an HTML file on this host; default: the app's own")
    once = command(
        "exec", "a command where the app runs: its user, environment and sandbox; its exit code is this one's"
    )
    once.add_argument("argv", nargs="+", metavar="command", help="after --")
    command("shell", "a shell there")
    return parser


def main() -> int:
    args = parser().parse_args()
    if os.geteuid():
        raise Refused(f"only root may; run: sudo release {args.command}")
    for folder in (RELEASES, VENVS, INCOMING):
        folder.mkdir(exist_ok=True)
    match args.command:
        case "status" | "list":
            found = status()
            print(json.dumps(found)) if args.json else show(found)
            return 0 if args.command == "list" or found["healthy"] else 1
        case "history":
            entries = history()[-args.n :]
            print(json.dumps(entries)) if args.json else show_history(entries)
        case "logs":
            logs(args.release, args.n, args.follow, proxy=args.proxy)
        case "maintenance":
            maintenance(args.wanted, args.page)
        case "exec":
            return inside(live_or_refused(), args.argv, terminal=False)
        case "shell":
            return inside(live_or_refused(), ["/bin/bash"], terminal=True)
        case _:
            change(args)
    return 0


def change(args: argparse.Namespace) -> None:
    """What changes the live release: one at a time, each after a sweep."""
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
