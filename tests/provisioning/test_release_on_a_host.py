"""The release tool on a real host: a Debian machine, systemd, uv, Waitress, Caddy."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning import app, servers, shapes
from rehearsal.cloud import authorities, daemon, machine, network
from settings import Waitress
from tests.provisioning.door import opened
from tests.provisioning.origin_host import Site
from tests.provisioning.released import FLASK, ReleasedHost, code, user_data
from tests.rehearsal.cloud.standing import booted, knock, until
from tests.rehearsal.conftest import lay

pytestmark = pytest.mark.machines

VISITOR = ("X-Forwarded-For: 2001:db8::7", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleasedHost]:
    for world in lay(tmp_path_factory, "released"):
        with booted(world, "released", user_data()):
            host = ReleasedHost(world=world, out=tmp_path_factory.mktemp("apps"))
            host.bootstrap()
            host.deploy(code())
            yield host


@pytest.fixture
def live(host: ReleasedHost) -> str:
    """The id of a healthy live release with one before it."""
    for number in (1, 2):
        if not host.status()["previous"]:
            host.deploy(code(number))
    return host.live()


def serves(host: ReleasedHost, id: str) -> bool:
    answer = host.get()
    return bool(answer) and json.loads(answer)["release"] == id


def assert_tidy(host: ReleasedHost) -> None:
    """The live release serves, it alone runs, and nothing half made is about."""
    found = host.status()
    assert serves(host, found["live"])
    assert host.units() == [found["live"]]
    assert {each["state"] for each in found["releases"]} <= {"served", "withdrawn"}
    names = {each["id"] for each in found["releases"]}
    folder = host.root / "srv/app"
    assert {path.name for path in (folder / "releases").iterdir()} == names
    venvs = {(folder / "releases" / name / "venv").readlink().name for name in names}
    assert {path.name for path in (folder / "venvs").iterdir()} == venvs
    assert not list(folder.glob(".*.new"))
    assert (folder / "current").readlink().name == found["live"]
    before = folder / "previous"
    assert not before.is_symlink() or before.readlink().name in names - {found["live"]}
    assert (
        not host.run("systemctl", "list-units", "--plain", "--no-legend", "release-*-*")
        .stdout.replace("release-converge.service", "")
        .count("release-")
    )


# ---- a release ----


def test_the_app_sees_the_visitor(host: ReleasedHost) -> None:
    seen = json.loads(host.get("/", *VISITOR, "X-Forwarded-Port: 8443", "Forwarded: for=6.6.6.6"))
    assert (seen["address"], seen["scheme"], seen["host"]) == ("2001:db8::7", "https", "example.com")
    assert not {"X-Forwarded-Port", "Forwarded"} & set(seen["headers"])


def test_a_change_of_code_is_live_within_seconds_and_the_old_release_is_gone(host: ReleasedHost, live: str) -> None:
    began = time.monotonic()
    done = host.deploy(code(time.time_ns()))
    assert time.monotonic() - began < 15, "measured: about 1 s; the bound only says that nothing waits for a timeout"
    assert "requirements unchanged" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["before"] == live
    assert host.status()["previous"] == live
    assert_tidy(host)


def test_the_same_again_changes_nothing(host: ReleasedHost, live: str) -> None:
    host.deploy(code(31))
    live = host.live()
    again = host.deploy(code(31))
    assert "nothing to do" in again.stdout
    assert host.live() == live
    host.deploy(code(31), environment={"COLOUR": "green"})
    assert host.live() != live, "another environment is another release"


def test_the_archive_is_not_needed_twice(host: ReleasedHost, live: str) -> None:
    host.deploy(code(32))
    live = host.live()
    manifest = host.manifest(code(32), environment={"COLOUR": "blue"})
    (host.root / json.loads(manifest)["archive"].lstrip("/")).unlink()
    host.release("deploy", input=manifest, check=True)
    assert host.live() != live
    assert_tidy(host)


def test_rollback_and_back_without_network(host: ReleasedHost, live: str) -> None:
    before = host.status()["previous"]
    route = host.run("ip", "route", "show", "default", check=True).stdout.split()
    host.run("ip", "route", "del", *route, check=True)
    try:
        host.release("rollback", check=True)
        assert host.live() == before
        assert_tidy(host)
        host.release("rollback", live, check=True)
    finally:
        host.run("ip", "route", "add", *route, check=True)
    assert host.live() == live
    refused = host.release("rollback", "0000-aaaaaaaaaaaa")
    assert refused.returncode == 1
    assert before in refused.stderr


def test_a_rollback_never_leads_to_what_was_rolled_back_from(host: ReleasedHost, live: str) -> None:
    before = host.status()["previous"]
    host.release("rollback", check=True)
    assert host.status()["previous"] != live
    host.deploy(code(time.time_ns()))
    assert host.status()["previous"] == before


def test_restart_gives_new_processes_and_keeps_the_number_of_releases(host: ReleasedHost, live: str) -> None:
    count = len(host.status()["releases"])
    host.release("restart", check=True)
    assert host.live() != live
    assert len(host.status()["releases"]) == count
    assert_tidy(host)


def test_prune_keeps_as_many_as_asked_and_always_the_previous(host: ReleasedHost, live: str) -> None:
    host.deploy(code(4), keep=2)
    found = host.status()
    assert [each["id"] for each in found["releases"]] == [live, found["live"]]
    host.deploy(code(5), keep=1)
    assert len(host.status()["releases"]) == 2
    assert_tidy(host)


PROJECT = '[project]\nname = "site"\nversion = "1"\nrequires-python = ">=3.11"\n'


def test_pyproject_lock_and_packages(host: ReleasedHost) -> None:
    project = f'{PROJECT}dependencies = ["flask==3.1.3", "waitress==3.0.2"]\n'
    files = {"app.py": FLASK, "pyproject.toml": project}
    assert "installed beside them" not in host.deploy(files).stdout
    folder = host.out / "app"
    assert folder.is_dir()
    (host.root / "root/site").mkdir(exist_ok=True)
    (host.root / "root/site/pyproject.toml").write_text(project)
    host.run("/opt/uv/bin/uv", "lock", "-q", "--project", "/root/site", "--python", "/usr/bin/python3", check=True)
    lock = (host.root / "root/site/uv.lock").read_text()
    host.deploy({**files, "uv.lock": lock})
    # A lock made against another index, as a developer's is when the host reaches a mirror.
    elsewhere = re.sub(r"https?://[^/\"]+/", "https://index.invalid/", lock)
    assert elsewhere != lock
    host.deploy({**files, "uv.lock": elsewhere})
    assert_tidy(host)
    packaged = {
        "src/app/__init__.py": FLASK,
        "pyproject.toml": project + '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/app"]\n',
    }
    host.deploy(packaged)
    assert_tidy(host)


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", ["heroku", "pythonanywhere", "elastic-beanstalk"])
def test_an_app_written_for_another_platform_runs_unchanged(host: ReleasedHost, example: str) -> None:
    folder = EXAMPLES / example
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    files = {name: text for name, text in files.items() if "__pycache__" not in name}
    host.deploy(files, run=servers.argv(Waitress(), shapes.entrypoint(folder)))
    assert "started this." in host.get()


# ---- from the web ----

SHOP = network.PLACES["visitor"].ipv4.partition("/")[0]


@pytest.fixture(scope="module")
def web(host: ReleasedHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an https site that the machine trusts as it trusts any other."""
    folder = tmp_path_factory.mktemp("web")
    authority = authorities.new_authority("the web")
    pair = authority.issue([SHOP])
    (folder / "certificate.pem").write_text(pair.certificate)
    (folder / "key.pem").write_text(pair.private_key)
    (host.root / "usr/local/share/ca-certificates/web.crt").write_text(authority.certificate)
    host.run("update-ca-certificates", check=True)
    script = Path(__file__).with_name("web.py")
    argv = [sys.executable, script, SHOP, folder / "certificate.pem", folder / "key.pem", folder]
    daemon.start(host.world, "web", [str(word) for word in argv], place="visitor")
    until(lambda: knock(host.world, "visitor", SHOP, 443) == "open")
    with tarfile.open(folder / "app.tar.gz", "w:gz") as tar, zipfile.ZipFile(folder / "app.zip", "w") as zipped:
        for name, text in code(50).items():
            entry = tarfile.TarInfo(f"app-1.2/{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
            zipped.writestr(f"app-1.2/{name}", text)
    return folder


def on_the_web(host: ReleasedHost, url: str, sha256: str | None = None, entrypoint: str = "app:app") -> str:
    """A manifest for what the host fetches."""
    asked = {"entrypoint": entrypoint, "files": {}, "oldest_safe": {}, "too_new": {}}
    remote = app.AppOnTheWeb(url=url, sha256=sha256)
    manifest = json.loads(host.manifest(code()))
    located = {"sha256": None, "source": remote.source, **remote.located(), "inspect": asked}
    return json.dumps({**manifest, **located})


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["app.tar.gz", "app.zip", "moved.tar.gz"])
def test_an_archive_on_the_web(host: ReleasedHost, web: Path, live: str, name: str) -> None:
    host.deploy(code(time.time_ns()), keep=2)  # so that none here has this code
    host.deploy(code(time.time_ns()), keep=2)
    sha256 = sha256_of(web / name.replace("moved", "app"))
    host.release("deploy", input=on_the_web(host, f"https://{SHOP}/{name}", sha256), check=True)
    assert host.live().endswith(sha256[:12])
    assert_tidy(host)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("app.tar.gz", "not 0000"),
        ("none.tar.gz", "it answered 404"),
        ("downgraded.tar.gz", f"it redirects to http://{SHOP}/app.tar.gz, which is not https"),
        ("endless.tar.gz", "it has more than 1 MB"),
        ("cut.tar.gz", "it ended after 10 of 1000 bytes"),
        ("untrusted", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_what_can_t_be_fetched_changes_nothing(
    host: ReleasedHost, web: Path, live: str, name: str, reason: str
) -> None:
    url = f"https://{SHOP}/{name}"
    if name == "untrusted":
        (host.root / "etc/hosts").open("a").write(f"{SHOP} shop.example.com\n")
        url = "https://shop.example.com/app.tar.gz"
    smaller = "sources.MAX_FETCHED = 1_000_000\nsys.argv[1:] = ['deploy']\n"
    refuse = "try: cli.main()\nexcept host.Refused as refused: print(refused); sys.exit(1)\n"
    done = host.run("python3", "-c", _LOAD + smaller + refuse, input=on_the_web(host, url, "0" * 64))
    assert done.returncode == 1
    assert reason in done.stdout
    assert url in done.stdout.partition("\n")[0]
    assert serves(host, live)
    assert_tidy(host)


def test_what_was_fetched_is_looked_over_first(host: ReleasedHost, web: Path, live: str) -> None:
    host.deploy(code(time.time_ns()), keep=2)
    host.deploy(code(time.time_ns()), keep=2)
    url = f"https://{SHOP}/app.tar.gz"
    done = host.release("deploy", input=on_the_web(host, url, sha256_of(web / "app.tar.gz"), "app:nothing"))
    assert done.returncode == 1
    told = 'release: app.entrypoint: "app:nothing": module app has no nothing at its top level; do: write app:app\n'
    assert done.stderr == told
    assert_tidy(host)


def test_a_commit_of_a_git_repository(host: ReleasedHost, web: Path, live: str) -> None:
    work = web / "work"
    work.mkdir()

    def git(*argv: str) -> str:
        name = ("-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "init.defaultBranch=main")
        return subprocess.run(["git", *name, *argv], cwd=work, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    for name, text in code(51).items():
        (work / name).write_text(text)
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD").strip()
    (work / "app.py").write_text("raise SystemExit")
    git("commit", "-qam", "two")
    git("clone", "-q", "--bare", ".", str(web / "app.git"))
    git("-C", str(web / "app.git"), "config", "uploadpack.allowAnySHA1InWant", "true")  # as public sites have it
    url = f"git+https://{SHOP}/git/app.git"
    host.release("deploy", input=on_the_web(host, f"{url}@{commit}"), check=True)
    assert host.live().endswith(commit[:12])
    assert not (host.root / f"srv/app/releases/{host.live()}/src/.git").exists()
    assert_tidy(host)
    done = host.release("deploy", input=on_the_web(host, f"{url}@{'0' * 40}"))
    assert done.returncode == 1
    assert f"fetching {url}@{'0' * 40}: exit code" in done.stderr
    assert "fatal: " in done.stderr
    assert_tidy(host)


# ---- what goes wrong ----

BROKEN = {
    "does not import": (code(6, "import nowhere"), {}, "No module named 'nowhere'"),
    "has a syntax error": (code(6, "def"), {}, "SyntaxError"),
    "exits": (code(6, "raise SystemExit(0)"), {}, "keeps stopping"),
    "is unhealthy": (code(6), {"health": {"path": "/nothing", "host": "example.com", "timeout": 6}}, "404"),
    "redirects": (
        code(6, "@app.get('/old')\ndef old():\n    from flask import redirect\n    return redirect('/health')\n"),
        {"health": {"path": "/old", "host": "example.com", "timeout": 6}},
        "302 to /health",
    ),
    "hangs": (
        code(6, "time.sleep(60)"),
        {"health": {"path": "/", "host": "example.com", "timeout": 2}},
        "did not open",
    ),
    "answers too late": (code(6), {"health": {"path": "/slow", "host": "example.com", "timeout": 4}}, "timed out"),
    "release command fails": (
        code(6),
        {"release_command": ["python", "-c", "import sys; sys.exit('no table')"]},
        "no table",
    ),
    "release command hangs": (code(6), {"release_command": ["sleep", "60"], "release_timeout": 1}, "longer than 1 s"),
    "release command is not there": (code(6), {"release_command": ["alembic"]}, "alembic: not found"),
    "requirement does not exist": (
        {"app.py": FLASK, "requirements.txt": "flask==0.0.0.1\n"},
        {},
        "flask==0.0.0.1",
    ),
    "wrong hash": (
        {"app.py": FLASK, "requirements.txt": f"flask==3.1.3 --hash=sha256:{'0' * 64}\n"},
        {},
        "installing the requirements",
    ),
    "no requirements": ({"app.py": FLASK}, {}, "what to install"),
    "socket of its own": (
        code(6),
        {"run": ["{venv}/bin/python", "-c", "import waitress, app; waitress.serve(app.app, unix_socket='{socket}')"]}
        | {"health": {"path": "/", "host": "example.com", "timeout": 6}},
        "closed to the group upstream",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_release_says_why_and_leaves_the_old_one(host: ReleasedHost, live: str, what: str) -> None:
    files, changes, reason = BROKEN[what]
    secret = {"SECRET_KEY": "canary-4711", "DATABASE_URL": "postgresql://u:pa%24%24word-4711@db/x"}
    done = host.deploy(files, environment=secret, check=False, **changes)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr.partition("\n")[0]
    assert serves(host, live)
    assert_tidy(host)


MEDDLING = """
import glob, os
from setuptools import setup

for place in (*glob.glob("/srv/app/releases/*/public"), "/var/cache/published"):
    try:
        os.makedirs(f"{place}/static/plain/static", exist_ok=True)
        os.symlink("/etc/origin/current/tls/key.pem", f"{place}/static/plain/static/key.txt")
    except OSError as error:
        print(error)
setup(name="meddling", version="1")
"""


def test_what_a_package_s_build_leaves_is_served_to_nobody(host: ReleasedHost) -> None:
    files = {"requirements.txt": "flask==3.1.3\n./meddling\n", "meddling/setup.py": MEDDLING, "static/a.css": "a"}
    host.deploy({**code(20), **files})
    assert host.run("find", "-L", "/srv/app/current/public/", "-name", "a.css", check=True).stdout
    found = host.run("find", "/srv/app/releases", "/var/cache/published", "-name", "key.txt", check=True)
    assert found.stdout == ""


MOODY = """
mode = open("/etc/mode").read()
if mode == "broken":
    raise RuntimeError("out of order")

@app.get("/ready")
def ready():
    return "", 200 if mode == "well" else 503
"""


def test_why_a_release_failed_once_is_not_why_it_fails_now(host: ReleasedHost, live: str) -> None:
    mode = host.root / "etc/mode"
    mode.write_text("well")
    host.deploy(code(21, MOODY), health={"path": "/ready", "host": "example.com", "timeout": 6})
    moody = host.live()
    host.deploy(code(22))
    mode.write_text("broken")
    assert "RuntimeError: out of order" in host.release("rollback", moody).stderr
    mode.write_text("not well")
    said = host.release("rollback", moody).stderr
    assert "GET /ready (Host: example.com) answered 503" in said
    assert "did not load" not in said
    assert_tidy(host)


def test_secrets_are_shown_by_name_only_and_stand_in_one_file(host: ReleasedHost, live: str) -> None:
    environment = {
        "SECRET_KEY": 'canary"4711\\$x',
        "DATABASE_URL": "postgresql://u:p%40ss-canary@db/x",
        "PEM": "ca\nnary-line\n",
    }
    dump = "said = f\"{[os.environ[k] for k in ('SECRET_KEY', 'DATABASE_URL', 'PEM')]} pw p@ss-canary\"\n"
    # It does not load, and says so; it stops, and the end of its journal is told.
    for end in ("raise SystemExit(said)", "print(said, flush=True); os._exit(3)"):
        done = host.deploy(code(7, f"{dump}{end}"), environment=environment, check=False)
        assert done.returncode == 1
        assert "[SECRET_KEY]" in done.stderr
        assert "[DATABASE_URL]" in done.stderr
        assert "canary" not in done.stdout + done.stderr
    host.deploy(code(7), environment=environment)
    assert host.run(
        "grep", "-rl", "canary", "/srv/app", "/etc", "/run/systemd", "/var/log/cloud-init.log"
    ).stdout.split() == [f"/srv/app/releases/{host.live()}/environment"]
    assert host.run("stat", "-c", "%a %U", f"/srv/app/releases/{host.live()}/environment").stdout == "600 root\n"
    assert "canary" not in host.run("ps", "axww").stdout


def hostile(**member: object) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in code(8).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        entry = tarfile.TarInfo("x")
        for key, value in member.items():
            setattr(entry, key, value)
        tar.addfile(entry)
        if entry.issym():
            inside = tarfile.TarInfo("x/pwned")
            tar.addfile(inside)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        hostile(name="../../../../etc/pwned"),
        hostile(name="x", type=tarfile.SYMTYPE, linkname="/etc"),
        hostile(name="x", type=tarfile.SYMTYPE, linkname="../../../../../etc"),
        hostile(name="x", type=tarfile.LNKTYPE, linkname="/srv/app/key"),
        hostile(name="x", type=tarfile.CHRTYPE, devmajor=1, devminor=8),
        b"not an archive",
        hostile()[:-40],
    ],
    ids=["dots", "link to /etc", "link with dots", "hard link", "device", "garbage", "truncated"],
)
def test_an_archive_that_escapes_or_is_broken(host: ReleasedHost, live: str, content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"/srv/app/incoming/{sha256[:12]}.tar.gz"
    (host.root / path.lstrip("/")).write_bytes(content)
    changes = {"source": sha256[:12], "sha256": sha256, "archive": path}
    done = host.release("deploy", input=json.dumps(json.loads(host.manifest(code(8))) | changes))
    assert done.returncode == 1
    assert done.stderr.startswith(f"release: archive {path}: ")
    assert "Traceback" not in done.stderr
    assert not (host.root / "etc/pwned").exists()
    assert_tidy(host)


def test_an_archive_that_is_not_what_the_manifest_says(host: ReleasedHost, live: str) -> None:
    manifest = host.manifest(code(9))
    (host.root / json.loads(manifest)["archive"].lstrip("/")).write_bytes(b"another")
    done = host.release("deploy", input=manifest)
    assert done.returncode == 1
    assert "upload it again" in done.stderr
    (host.root / json.loads(manifest)["archive"].lstrip("/")).unlink()
    assert "upload it again" in host.release("deploy", input=manifest).stderr
    assert_tidy(host)


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"source": 1}', '{"sha256": "x", "run": "y"', "null"])
def test_a_manifest_that_is_none(host: ReleasedHost, live: str, document: str) -> None:
    done = host.release("deploy", input=document)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert serves(host, live)


def test_two_at_once_one_after_the_other(host: ReleasedHost, live: str) -> None:
    first, second = host.manifest(code(10)), host.manifest(code(11))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda manifest: host.release("deploy", input=manifest), [first, second]))
    assert [each.returncode for each in done] == [0, 0]
    assert_tidy(host)


def test_the_one_who_waits_too_long_is_told_who_is_at_work(host: ReleasedHost, live: str) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        manifest = host.manifest(code(12), release_command=["sleep", "20"])
        slow = pool.submit(host.release, "deploy", input=manifest)
        until(lambda: host.status()["at_work"])
        impatient = (
            _LOAD
            + "journal.WAIT_FOR_LOCK = 1\nsys.argv[1:] = ['restart']\n"
            + "try: cli.main()\nexcept host.Refused as refused: print(refused)\n"
        )
        told = host.run("python3", "-c", impatient).stdout
        assert slow.result().returncode == 0
    assert "busy for" in told
    assert "deploy by root" in told
    assert_tidy(host)


def test_a_full_disk(host: ReleasedHost, live: str) -> None:
    folder = "/srv/app/releases"
    small = host.run(
        *("sh", "-euc"),
        f"cp -a {folder} /root/kept; mount -t tmpfs -o size=300m,mode=755 none {folder}; cp -a /root/kept/. {folder}/; "
        f"df --output=avail -m {folder} | tail -1",
        check=True,
    )
    try:
        assert int(small.stdout) > 256
        host.run("dd", "if=/dev/zero", f"of={folder}/{live}/ballast", "bs=1M")
        done = host.deploy(code(13), check=False)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert serves(host, live)
    finally:
        host.run("sh", "-c", f"umount -l {folder}; rm -rf /root/kept; systemctl restart app@{live}", check=True)
    host.release("converge", check=True)
    assert_tidy(host)
    host.deploy(code(13))
    assert_tidy(host)


_LOAD = """
import os, signal, sys, time
sys.path.insert(0, "/usr/local/lib/origin")
sys.dont_write_bytecode = True
from releasing import build, cli, host, journal, serving, sources, store
os.umask(0o022)
def replace(name, wrap):
    modules = [m for m in (build, cli, host, journal, serving, sources, store) if hasattr(m, name)]
    function = wrap(getattr(modules[0], name))
    for module in modules:
        setattr(module, name, function)
"""

_KILL = (
    _LOAD
    + """
import shutil
left = int(sys.argv[1])
LOOKS = [("systemctl", verb) for verb in ("show", "list-units", "reset-failed")]
def deadly(function):
    def call(*args, **kwargs):
        global left
        left -= args[:2] not in LOOKS and args[0] != "journalctl"
        if left == 0:
            print("killed before", getattr(function, "__name__", function), args[:2], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
for name in ("write", "move", "step", "unpack", "run"):
    replace(name, deadly)
shutil.rmtree = deadly(shutil.rmtree)
sys.argv[1:] = sys.argv[2:]
sys.exit(cli.main())
"""
)


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_killed_at_every_step(host: ReleasedHost, live: str, command: str) -> None:
    """kill -9 before each thing it does; then another command or a boot's converge finds a host in order."""
    for step in range(1, 200):
        before = host.live()
        manifest = host.manifest(code(100 + step), release_command=["true"], keep=3)
        done = host.run("python3", "-c", _KILL, str(step), command, input=manifest)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stdout + done.stderr
        where = f"{command}, step {step}: {done.stdout}"
        assert host.get(), f"nothing serves: {where}"
        if step % 2:
            host.release("converge", check=True)
            assert serves(host, host.live()), where
        else:
            done = host.release("deploy", input=manifest)
            assert done.returncode == 0, where + done.stderr
            assert host.live() != before or command != "deploy", where
        assert_tidy(host)
        if command == "rollback":  # something to go back to
            host.deploy(code(1000 + step))
    else:
        pytest.fail("it never came to its end")
    assert step > 5


@pytest.mark.parametrize("moment", ["move", "retire"])
def test_power_cut_around_the_switch(host: ReleasedHost, live: str, moment: str) -> None:
    stop_at = _LOAD + (
        f"def dark(real):\n    def call(*a):\n"
        f"        if {moment!r} == 'retire' or a[1] == host.CURRENT: open('/run/dark', 'w').close(); time.sleep(600)\n"
        f"        return real(*a)\n    return call\nreplace({moment!r}, dark)\nsys.argv[1:] = ['deploy']\ncli.main()\n"
    )
    manifest = host.manifest(code(time.time_ns()))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        cut = pool.submit(host.run, "python3", "-c", stop_at, input=manifest)
        until(lambda: host.run("find", "/run/dark").stdout)
        machine.power_off(host.world, host.id)
        cut.cancel()
        machine.power_on(host.world, host.id)
    until(lambda: host.run("systemctl", "is-active", "release-converge").stdout.strip() == "active")
    until(lambda: host.get())
    assert (host.live() == live) == (moment == "move")
    assert_tidy(host)


# ---- at the app's place ----

_PLACE = """
import json, os, pwd, sys
print(json.dumps({"user": pwd.getpwuid(os.getuid()).pw_name, "secret": os.environ["SECRET_KEY"] == "canary-4711",
                  "release": os.environ["RELEASE"], "flask": os.environ["FLASK_APP"], "input": sys.stdin.read()}))
try: open("app.py", "w")
except OSError as error: print(error.strerror, file=sys.stderr)
sys.exit(7)
"""


def test_exec_is_where_the_app_is_and_passes_all_on(host: ReleasedHost) -> None:
    host.deploy(code(40), environment={"SECRET_KEY": "canary-4711"})
    done = host.release("exec", "--", "python", "-c", _PLACE, "--flag", input="typed")
    assert done.returncode == 7
    seen = json.loads(done.stdout)
    assert seen == {"user": "app", "secret": True, "release": host.live(), "flask": "app:app", "input": "typed"}
    assert done.stderr == "Read-only file system\n"
    assert host.release("exec", "--", "flask", "routes").stdout.count("/health") == 1
    entry = json.loads(host.release("history", "--json", "-n", "2", check=True).stdout)[0]
    assert (entry["what"], entry["result"], entry["who"]) == ("exec python", "exit code 7", "root")
    assert "canary" not in host.run("cat", "/var/log/origin/releases.jsonl").stdout


def test_exec_ends_with_whoever_asked(host: ReleasedHost, live: str) -> None:
    ended = "release exec -- sleep 300 & sleep 2; kill -HUP $!; wait $!; systemctl list-units --plain 'app-console-*'"
    assert "app-console" not in host.run("sh", "-c", ended).stdout


def test_a_shell_on_a_terminal(host: ReleasedHost, live: str) -> None:
    typed = r"printf 'id -un; exit 5\n' | script -qec 'release shell' /dev/null; echo code $?"
    seen = host.run("bash", "-c", typed).stdout
    assert "\napp\n" in seen
    assert "code 5" in seen


def test_logs_of_one_release_and_of_those_to_come(host: ReleasedHost) -> None:
    say = "@app.get('/say')\ndef say():\n    print('said', os.environ['SECRET_KEY'], flush=True)\n    return 'x'\n"
    say += "@app.get('/begun')\ndef begun():\n    print('begun', flush=True)\n    return 'x'\n"
    host.deploy(code(41, say), environment={"SECRET_KEY": "canary-4711"})
    first = host.live()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        follow = "echo $$ >/run/following; exec release logs -f -n 0 >/run/followed"
        following = pool.submit(host.run, "sh", "-c", follow)

        def followed() -> str:
            return host.run("cat", "/run/followed").stdout

        until(lambda: host.get("/begun") and "begun" in followed())
        host.get("/say")
        host.deploy(code(42, say), environment={"SECRET_KEY": "canary-4712"})
        host.get("/say")
        until(lambda: followed().count("said [SECRET_KEY]") == 2)
        host.run("sh", "-c", "kill $(cat /run/following)", check=True)
        following.result()
    assert host.release("logs", "--release", first, check=True).stdout.count("said [SECRET_KEY]") == 1
    assert "canary" not in followed() + host.release("logs", check=True).stdout
    assert "is not here; releases: " in host.release("logs", "--release", "0000-x").stderr


def test_the_proxy_s_log_is_at_hand(host: ReleasedHost) -> None:
    host.run("systemd-run", "--wait", "--quiet", "--unit=nginx", "echo", "asked for", check=True)
    assert "asked for" in host.release("logs", "--proxy", check=True).stdout


def test_a_migration_runs_once_though_the_connection_is_lost_and_up_tried_again(host: ReleasedHost, live: str) -> None:
    migrate = "echo ran >>/srv/app/shared/migrations; sleep 4"
    manifest = host.manifest(code(time.time_ns()), release_command=["sh", "-c", migrate])
    (host.root / "srv/app/manifest.json").write_text(manifest)
    # Its output goes into a pipe that nobody reads any more, and the terminal's hang-up comes too.
    lost = "mkfifo /run/lost; release deploy <$1 >/run/lost 2>&1 & head -c 5 /run/lost; kill -HUP $!"
    try:
        host.run("sh", "-c", f"{lost}; rm /run/lost $1", "sh", "/srv/app/manifest.json", check=True)
        again = host.release("deploy", input=manifest, check=True)
        assert "nothing to do" in again.stdout
        assert (host.root / "srv/app/shared/migrations").read_text() == "ran\n"
    finally:
        (host.root / "srv/app/shared/migrations").unlink()
    assert host.live() != live
    assert_tidy(host)


def test_the_cache_of_packages_is_bounded(host: ReleasedHost, live: str) -> None:
    host.run("fallocate", "-l", "1100M", "/var/cache/uv/ballast", check=True)
    files = code(time.time_ns())
    host.deploy({**files, "requirements.txt": f"{files['requirements.txt']}# another environment\n"}, keep=2)
    host.deploy(code(time.time_ns()), keep=2)
    host.deploy(code(time.time_ns()), keep=2)
    assert not (host.root / "var/cache/uv/ballast").exists()
    assert_tidy(host)


# ---- without losing a request ----


def test_no_request_is_lost(host: ReleasedHost, site: Site, live: str, tmp_path: Path) -> None:
    """Deploys, rollback, restart and a broken release under the load of steady_load.py."""
    with opened(host, site, tmp_path, proxy="caddy") as door, door.steady_load() as found:
        for number in range(4):
            host.deploy(code(200 + number))
        host.release("rollback", check=True)
        host.release("restart", check=True)
        assert host.deploy(code(0, "1 / 0"), check=False).returncode == 1
    assert found["lost"] == []
    assert all(found["answered"].values())


def test_a_client_that_hangs_holds_a_release_up_no_longer_than_asked(host: ReleasedHost, live: str) -> None:
    hang = "import socket, time; s = socket.socket(socket.AF_UNIX); s.connect('/srv/app/current.sock'); time.sleep(60)"
    host.run("systemd-run", "--quiet", "--unit=hang", "python3", "-c", hang, check=True)
    try:
        until(lambda: host.run("sh", "-c", f"ss -xH | grep -c {live}").stdout.strip() != "0")
        done = host.deploy(code(time.time_ns()), drain=2)
        assert "1 connection(s) cut after 2 s" in done.stdout
    finally:
        host.run("systemctl", "stop", "hang")
    assert_tidy(host)


# ---- the unit ----


def test_killed_again_and_again_it_comes_back(host: ReleasedHost, live: str) -> None:
    for _ in range(8):
        host.run("systemctl", "kill", "--signal=KILL", f"app@{live}", check=True)
        until(lambda: serves(host, live))


def test_the_sandbox(host: ReleasedHost, live: str) -> None:
    last = host.run("systemd-analyze", "security", "--no-pager", f"app@{live}").stdout.splitlines()[-1]
    assert float(last.partition("level for")[2].split()[1]) <= 1.5
    assert host.run("systemd-analyze", "verify", f"app@{live}.service", "release-converge.service").stderr == ""
    probe = """
import socket, tempfile, pathlib, multiprocessing, threading, subprocess
def tries(what):
    try:
        what()
        return "yes"
    except OSError as error:
        return error.strerror
@app.get("/probe")
def probe():
    return {
        "shared": tries(lambda: pathlib.Path("/srv/app/shared/x").write_text("x")),
        "temporary": tries(lambda: tempfile.TemporaryFile().write(b"x")),
        "runtime": tries(lambda: pathlib.Path(f"/run/app/{os.environ['RELEASE']}/x").write_text("x")),
        "lock": tries(lambda: multiprocessing.Lock()),
        "program": tries(lambda: subprocess.run(["true"], check=True)),
        "internet": tries(lambda: socket.socket(socket.AF_INET6).close()),
        "own code": tries(lambda: pathlib.Path("app.py").write_text("x")),
        "environment file": tries(lambda: pathlib.Path("../environment").read_text()),
        "other code": tries(lambda: next(pathlib.Path("/srv/app/releases").iterdir()).joinpath("y").write_text("")),
        "proxy's keys": tries(lambda: list(pathlib.Path("/etc/origin").iterdir())),
        "incoming": tries(lambda: list(pathlib.Path("/srv/app/incoming").iterdir())),
        "raw": tries(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "processes": str(len([p for p in os.listdir("/proc") if p.isdigit() and os.stat("/proc/" + p).st_uid == 0])),
    }
"""
    host.deploy(code(20, probe))
    seen = json.loads(host.get("/probe"))
    able = {"shared", "temporary", "runtime", "lock", "program", "internet"}
    assert {name for name, found in seen.items() if found == "yes"} == able
    assert seen["processes"] == "0"


def test_any_value_reaches_the_app_unchanged(host: ReleasedHost) -> None:
    """As many odd values as fit, through the real systemd."""
    rng = random.Random(4711)
    pieces = [
        *" \t\n\"'`\\$%{}()#;=~!&|<>*?[]",
        "\\n",
        "\\",
        "$HOME",
        "${PATH}",
        "%n",
        "%%",
        "$$",
        "\\\n",
        "\n\n",
        "ä",
        "日本",
        "🙂",
    ]
    pieces += ["\u2028", "\u00a0", "\x80", "\ufffd", "\\x41", "\\101", "'\"'", "#c", " ", "a"]
    values = ["", " ", "\n", "\\", '"', "'", "$", "-----BEGIN X-----\nabc\n-----END X-----\n", "x" * 100_000]
    values += ["".join(rng.choices(pieces, k=rng.randint(1, 30))) for _ in range(1500)]
    environment = {f"V{number}": value for number, value in enumerate(values)}
    digest = """
import hashlib
@app.get('/digest')
def digest():
    return {k: hashlib.sha256(v.encode()).hexdigest() for k, v in os.environ.items() if k[0] == 'V'}
"""
    host.deploy(code(21, digest), environment=environment)
    seen = json.loads(host.get("/digest"))
    wrong = [
        values[int(name[1:])]
        for name, found in seen.items()
        if name[1:].isdigit() and found != hashlib.sha256(environment[name].encode()).hexdigest()
    ]
    assert not wrong
    assert len(seen) >= len(values)
    restarted = host.release("restart", check=True)
    assert restarted.returncode == 0
    assert json.loads(host.get("/digest")) == seen, "what the tool reads back is what it wrote"
