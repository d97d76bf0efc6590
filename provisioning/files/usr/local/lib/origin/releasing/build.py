"""From a manifest to a whole release that is not started: source, virtual environment, environment, launcher."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from releasing import packages
from releasing.environment import environment_file
from releasing.host import BUILD_SANDBOX, RELEASES, ROOT, SHARED, UNIT, VENVS, Refused, run, say, step, write
from releasing.journal import tail
from releasing.sources import lay
from releasing.store import code, releases, sock, uwsgi_sock

PUBLISH, PUBLISHED = Path(__file__).with_name("publish.py"), Path("/var/cache/published")
PUBLISH_TIMEOUT = 300  # seconds; brotli takes a second for a megabyte, once
SERVING = Path("/usr/local/lib/origin/origin_server")
UV_CACHE, MAX_CACHE = Path("/var/cache/uv"), 1 << 30  # bytes
BUILD_TIMEOUT = 900  # seconds
UV = {
    "UV_CACHE_DIR": UV_CACHE,
    "UV_PYTHON": "/usr/bin/python3",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_LINK_MODE": "hardlink",
    "UV_COMPILE_BYTECODE": 1,
    "UV_SYSTEM_CERTS": 1,
    "UV_NO_PROGRESS": 1,
    "PATH": "/opt/uv/bin:/usr/bin:/bin",
    "HOME": UV_CACHE,
}
UV_SANDBOX = [
    *BUILD_SANDBOX,
    *(f"Environment={name}={value}" for name, value in UV.items()),
    f"InaccessiblePaths=-{PUBLISHED}",
]


def prepare(id: str, manifest: dict[str, Any], digest: str) -> None:
    """A whole release, not started: state "new"."""
    folder, src = RELEASES / id, RELEASES / id / "src"
    folder.mkdir()
    twin = next((each for each in releases() if code(each) == code(manifest)), None)
    if twin:
        run("cp", "-a", RELEASES / twin / "src", src)
    else:
        lay(id, manifest)
    packages.bring(id, manifest["packages"])
    build(id, manifest["requirements"])
    publish(id, manifest)  # last: packages may bring code that is run as they are built, by the same user
    close(id)
    # Its own copy, so that going back to it needs nothing of a newer host.
    shutil.copytree(SERVING, folder / "lib" / SERVING.name)
    (folder / "uwsgi").symlink_to(uwsgi_sock(id).parent)  # for a proxy that speaks it, by the link to the live folder
    write(folder / "environment", environment_file(manifest["environment"]), 0o600)
    write(folder / "run", launcher(id, manifest["run"], manifest["variables"], manifest["uploads"]), 0o755)
    public = {k: v for k, v in manifest.items() if k != "environment"}
    write(folder / "release.json", json.dumps(public | {"digest": digest, "state": "new"}, indent=1), 0o600)
    run("sync", "-f", ROOT)  # a power cut after the switch must not find empty files


def publish(id: str, manifest: dict[str, Any]) -> None:
    """releases/<id>/public: what the proxy serves from disk."""
    wanted = {key: manifest[key] for key in ("static", "error_page")}
    if not any(wanted.values()):
        return
    public, unit = RELEASES / id / "public", f"release-build-{id}-files"
    public.mkdir()
    shutil.chown(public, "build", "build")
    argv = ["/usr/bin/python3", "-IB", PUBLISH, RELEASES / id / "src", public, PUBLISHED, json.dumps(wanted)]
    properties = [*BUILD_SANDBOX, f"CacheDirectory={PUBLISHED.name}"]
    if reason := step(unit, properties, PUBLISH_TIMEOUT, *argv):
        raise Refused(f"publishing the static files: {reason}" + tail(unit, 10, {}))


def installation(src: Path, requirements: list[str]) -> tuple[str, str]:
    """(name, shell script) of the virtual environment that the source asks for: same name, same environment.

    The name covers every file that may say what to install, and all files where the source itself is installed.
    """

    def text(name: str) -> str:
        return (src / name).read_text(errors="replace") if (src / name).is_file() else ""

    project, lock, pinned = text("pyproject.toml"), text("uv.lock"), text("requirements.txt")
    packaged = bool(re.search(r"(?m)^\[build-system\]", project))
    if project and lock:
        # Not `uv sync`: a lock has its index's addresses in it, and this host may only reach a mirror.
        install = "uv export -q --frozen --no-dev --no-emit-project -o $1/locked.txt"
        install += "\nuv pip install --require-hashes -r $1/locked.txt" + "\nuv pip install --no-deps ." * packaged
        whole = packaged
        if set(re.findall(r'source = \{ (?:editable|directory|path|git|url) = "(.*?)"', lock)) - {"."}:
            install, whole = "uv sync --frozen --no-dev --no-editable", True
    elif pinned:
        install = "uv pip install -r requirements.txt" + " --require-hashes" * ("--hash=" in pinned)
        whole = re.search(r"(?m)^\s*(-e|--editable|\.|/|file:)|@\s*(file:|\.)", pinned)
    elif project:
        install, whole = "uv pip install " + ("." if packaged else "-r pyproject.toml"), packaged
    else:
        raise Refused("the app has no uv.lock, requirements.txt or pyproject.toml that says what to install")
    digest = hashlib.sha256(json.dumps([sys.version_info[:2], install, requirements]).encode())
    for path in sorted(p for p in src.rglob("*") if p.is_file()):
        if whole or path.suffix in {".txt", ".in", ".lock"} or path.name in {"pyproject.toml", "uv.toml"}:
            digest.update(f"\0{path.relative_to(src)}\0".encode() + path.read_bytes())
    script = f"uv venv -q $1; export UV_PROJECT_ENVIRONMENT=$1 UV_PYTHON=$1/bin/python\n{install}\n"
    # Each by itself and without what it needs, which is among them: what the app brings is never replaced.
    for pinned in requirements:
        name = pinned.partition("=")[0]
        script += f"uv pip show -q {name} || {{ echo {name} >>$1/added; echo {shlex.quote(pinned)} >>$1/added.txt; }}\n"
    script += "[ ! -e $1/added.txt ] || uv pip install --no-deps --require-hashes -r $1/added.txt\n"
    return digest.hexdigest()[:16], script


def trim_cache() -> None:
    """What no environment may want again: of older versions of uv, and everything once it is too much.

    Packages that are installed are hard links, so dropping the cache's takes nothing from them.
    """
    script = f"uv cache prune -q; [ $(du -sm {UV_CACHE} | cut -f1) -le {MAX_CACHE >> 20} ] || uv cache clean -q"
    step("release-build-cache", UV_SANDBOX, 60, "sh", "-euc", script)


def build(id: str, requirements: list[str]) -> None:
    """releases/<id>/venv, new or another release's with the same requirements; and the source's bytecode."""
    src, user = RELEASES / id / "src", pwd.getpwnam("build")
    name, script = installation(src, requirements)
    venv = VENVS / name
    if venv.exists():
        say(f"requirements unchanged: {venv} used again")
        script = ""
    else:
        venv.mkdir()
        os.chown(venv, user.pw_uid, user.pw_gid)
    (RELEASES / id / "venv").symlink_to(venv)
    reason = step(
        f"release-build-{id}", UV_SANDBOX, BUILD_TIMEOUT,
        "sh", "-euc", f"cd $2\n{script}/usr/bin/python3 -m compileall -qq . || :", "sh", venv, src,
    )  # fmt: skip
    if reason:
        raise Refused(f"installing the requirements: {reason}" + tail(f"release-build-{id}", 30, {}))
    if (venv / "added").exists():
        added = ", ".join((venv / "added").read_text().split())
        say(f"not in the app's requirements, so installed beside them: {added}")


def close(id: str) -> None:
    """From here on the build user can't reach it by any path: a later build must not change what serves."""
    for folder in ((RELEASES / id / "venv").resolve(), RELEASES / id):
        shutil.chown(folder, "root", "upstream")
        folder.chmod(0o750)


def launcher(id: str, argv: list[str], variables: dict[str, str], uploads: list[str]) -> str:
    folder = RELEASES / id
    places = {"venv": folder / "venv", "src": folder / "src", "socket": sock(id), "release": id}
    argv = [re.sub(r"\{(venv|src|socket|release)\}", lambda m: str(places[m[1]]), a) for a in argv]
    defaults = "".join(f'[ "${{{k}+set}}" ] || export {k}={shlex.quote(v)}\n' for k, v in variables.items())
    folders = "".join(f"mkdir -p {shlex.quote(f'{SHARED}{path}')} || exit\n" for path in uploads)
    return f"""#!/bin/sh
# The server of release {id}; with arguments: that command, in the same place.
cd {folder}/src || exit
export RELEASE={id} PATH={folder}/venv/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 ORIGIN_SHARED={SHARED}
export PYTHONPATH={folder}/src:{folder}/src/src:{folder}/lib${{PYTHONPATH:+:$PYTHONPATH}}
{defaults}{folders}[ $# = 0 ] || exec "$@"
exec {shlex.join(argv)}
"""


def sandbox(id: str) -> list[str]:
    """The app's own, as properties for a unit that runs something else in its place."""
    skipped = re.compile(r"(Type|Exec\w*|Restart\w*|RuntimeDirectory\w*|TimeoutStopSec|EnvironmentFile)=")
    lines = UNIT.read_text().partition("[Service]\n")[2].splitlines()
    kept = [line for line in lines if line and line[0] not in "#[" and not skipped.match(line)]
    return [*kept, f"EnvironmentFile={RELEASES / id}/environment"]


def release_command(id: str, manifest: dict[str, Any]) -> None:
    argv = [RELEASES / id / "run", *manifest["release_command"]]
    reason = step(f"release-command-{id}", sandbox(id), manifest["release_timeout"], *argv)
    if reason:
        shown = shlex.join(manifest["release_command"])
        raise Refused(
            f"release command `{shown}`: {reason}" + tail(f"release-command-{id}", 30, manifest["environment"])
        )
