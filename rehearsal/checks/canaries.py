"""Check 6: the secrets are where they are used, and nowhere else in plain text.

The stand-in Cloudflare holds the client certificate's key, which was given to it, as the real one does; its store and
the edge are therefore not searched for that one.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Site
from rehearsal.checks.trial import CANARY_NAME, Trial, trial
from rehearsal.cloud import machine

_KEY_BODY = 40  # characters of a PEM key's text that can't be there by chance
_LONG_ENOUGH = 8  # characters; a shorter secret is found everywhere by chance
# File on the host -> the only secrets that it may hold.
_AT_HOME = {
    "/srv/app/releases/*/environment": "environment",
    "/etc/origin/generations/*/tls/key.pem": "the origin's TLS key",
}


def secrets_of(site: Site, canary: str) -> dict[str, str]:
    """Every secret that the checks can know, by what it is."""
    plain = set(site.app.get("environment") or ())
    environment = site.read("cat", f"/srv/app/releases/{site.live()}/environment")
    pairs = re.findall(r'^(\w+)="((?:[^"\\]|\\.)*)"$', environment, re.M | re.S)
    values = {name: re.sub(r"\\(.)", r"\1", value, flags=re.S) for name, value in pairs if name not in plain}
    found = {f"environment {name}": value for name, value in values.items() if len(value) >= _LONG_ENOUGH}
    found[f"environment {CANARY_NAME}"] = canary
    keys = {
        "the origin's TLS key": site.read("cat", "/etc/origin/current/tls/key.pem"),
        "the client certificate's key": site.client_pair[site.client_pair.index("-----BEGIN", 50) :],
        "the deploy key": site.rehearsal.outputs()["deploy_key"],
    }
    return found | {name: _middle(pem) for name, pem in keys.items()}


def _middle(pem: str) -> str:
    """A stretch of a key's own text, which any copy of it has whatever its line ends."""
    lines = [text for text in pem.strip().splitlines() if not text.startswith("-----")]
    return max(lines[len(lines) // 2 :], key=len)[:_KEY_BODY]


def forms(secret: str) -> set[str]:
    """The texts in which a secret may turn up: itself, quoted for URL or JSON, hex, and base64 at any offset."""
    raw = secret.encode()
    shapes = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex()}
    for offset in range(3):
        # Without the first and last characters, which depend on what stands around it.
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        shapes.add(encoded[4 if offset else 0 : -4])
    return {shape for shape in shapes if len(shape) >= _LONG_ENOUGH}


def _names_in(text: str, secrets: Mapping[str, str]) -> list[str]:
    """The names of the secrets that the text holds."""
    return [name for name, secret in secrets.items() if any(form in text for form in forms(secret))]


def found_in(text: str, secrets: Mapping[str, str]) -> str | None:
    """The name of a secret that the text holds."""
    return next(iter(_names_in(text, secrets)), None)


def _all(site: Site) -> tuple[Trial, dict[str, str]]:
    made = trial(site)
    return made, secrets_of(site, made.canary)


@line("Neither preview nor up, nor the stack's outputs, say a secret", stage="alone")
def words(site: Site) -> str:
    made, secrets = _all(site)
    expect(CANARY_NAME in made.said or made.said, "nothing was said")
    name = found_in(made.said, secrets)
    expect(not name, f"{name} is in what preview and up give out")
    return f"{len(secrets)} secrets, not in {len(made.said)} characters of events, diffs and outputs"


@line("The state file holds secrets encrypted only", stage="alone")
def state(site: Site) -> str:
    _, secrets = _all(site)
    folder = site.rehearsal.engine.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    expect(files, f"no state in {folder}")
    for path in files:
        name = found_in(path.read_text(errors="replace"), secrets)
        expect(not name, f"{name} is in {path.relative_to(site.world.root)}")
    return f"{len(files)} files of the program's state"


@line("User data and the cloud's own records hold none", stage="alone")
def cloud(site: Site) -> str:
    _, secrets = _all(site)
    searched = 0
    for path in site.world.store.folder.rglob("*.json"):
        kind = str(path.relative_to(site.world.store.folder))
        known = {n: s for n, s in secrets.items() if not (kind.startswith("cloudflare/") and "client" in n)}
        name = found_in(path.read_text(), known)
        expect(not name, f"{name} is in the cloud's {kind}")
        searched += 1
    seeds = machine.folder(site.world, site.machine_id) / "upper/var/lib/cloud/seed"
    data = "\n".join(path.read_text() for path in seeds.rglob("*") if path.is_file())
    expect("bootstrap" in data, "the host's user data was not found")
    expect(not (name := found_in(data, secrets)), f"{name} is in the user data")
    return f"user data of {len(data)} characters, {searched} records"


@line(
    "On the host each is in its one place: no copy on the disk, in cloud-init's folders or in a log file", stage="alone"
)
def disk(site: Site) -> str:
    _, secrets = _all(site)
    # What the machine has written since it was made; the image below it is older than any secret.
    upper = machine.folder(site.world, site.machine_id) / "upper"
    for path in _holding(upper, secrets):
        names = _names_in((upper / path[1:]).read_text(errors="replace"), secrets)
        home = next((what for pattern, what in _AT_HOME.items() if fnmatch.fnmatch(path, pattern)), None)
        stray = [name for name in names if not (home and name.startswith(home))]
        expect(not stray, f"{', '.join(stray)} is in {path}")
        seen = site.read("stat", "-c", "%a %U:%G", path)
        expect(seen in ("600 root:root", f"640 root:{site.proxy.user}"), f"{path}, which holds a secret, is {seen}")
    return f"{len(secrets)} secrets, every file that the host has written"


def _holding(folder: Path, secrets: Mapping[str, str]) -> list[str]:
    """The files below the folder that hold a secret, as absolute paths from there."""
    done = subprocess.run(
        ["grep", "-rlaF", "-f", "-", "."],
        input="\n".join(form for secret in secrets.values() for form in forms(secret)),
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},  # bytes are bytes; it is also much faster
        text=True,
        capture_output=True,
    )
    return [path.removeprefix(".") for path in done.stdout.splitlines()]


@line("The journal, the console and the command lines hold none", stage="alone")
def logs(site: Site) -> str:
    made, secrets = _all(site)
    journal = site.read("journalctl", "--no-pager", "--output=export", timeout=60, errors="replace")
    expect(made.after in journal, "the journal does not know the release")
    console = machine.console(site.world, site.machine_id)
    now = ""
    for pid in site.pids():
        with contextlib.suppress(OSError):  # it has ended
            now += Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    commands = "\n".join(made.commands)
    expect("release deploy" in commands, "the release's command line was not seen")
    for what, text in {"the journal": journal, "the console": console, "a command line": commands + now}.items():
        expect(not (name := found_in(text, secrets)), f"{name} is in {what}")
    return f"{len(journal) >> 10} KiB of journal, {len(made.commands)} command lines seen during a release"


@line("No other user on the host can read them: not in a file, not in another's process", stage="alone")
def other_users(site: Site) -> str:
    _, secrets = _all(site)
    shapes = {form: name for name, secret in secrets.items() for form in forms(secret)}
    proxy = site.proxy.user
    # Root finds it so; if it did not, that others don't would prove nothing.
    environ = site.read("sh", "-c", f"cat /proc/{site.main_pid(f'app@{site.live()}')}/environ", errors="replace")
    expect(found_in(environ, secrets), "the app's secrets are not in its environment")
    for user in ("nobody", "build", proxy, "app"):
        own = "the origin's TLS key" if user == proxy else "environment" if user == "app" else "nothing"
        done = site.inside("runuser", "-u", user, "--", "sh", "-c", _LOOK, input="\n".join(shapes), errors="replace")
        in_memory, _, on_disk = done.stdout.partition("=== on disk\n")
        stray = [name for name in _names_in(in_memory, secrets) if not name.startswith(own)]
        expect(not stray, f"{user} can read {', '.join(stray)} in /proc, /run or /tmp")
        stray = [name for name in _names_in(on_disk, secrets) if not (user == proxy and name == own)]
        expect(not stray, f"{user} can read {', '.join(stray)} in a file")
    return f"as nobody, build, {proxy} and app: only the proxy reads the TLS key, only the app its environment"


# Files that hold a secret were all found above by whoever can read everything; the rest is in memory.
_LOOK = f"""
export LC_ALL=C
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null
grep -rhaF -f - /run /tmp /dev/shm 2>/dev/null
echo '=== on disk'
cat {" ".join(_AT_HOME)} 2>/dev/null
"""
