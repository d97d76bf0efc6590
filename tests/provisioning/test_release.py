"""The release tool's own arithmetic, without a host. What it does is tested on one: test_release_on_a_host.py."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shlex
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releasing import build, cli, host, journal, serving, sources, store, upkeep
from releasing import environment as app_environment

SHA = "ab" * 32


MODULES = (build, cli, app_environment, host, journal, serving, sources, store, upkeep)


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """In every module of the tool that has imported it."""
    for module in MODULES:
        if hasattr(module, name):
            monkeypatch.setattr(module, name, value)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/srv/app, elsewhere, and every command of the host refused."""
    for name in ("releases", "venvs", "incoming"):
        (tmp_path / name).mkdir()
    for name in (
        "ROOT",
        "RELEASES",
        "VENVS",
        "INCOMING",
        "CURRENT",
        "FOLDER",
        "FOLDER_BEFORE",
        "MAINTENANCE",
        "SHARED",
    ):
        replaced(monkeypatch, name, tmp_path / getattr(host, name).relative_to("/srv/app"))
    monkeypatch.setattr(journal, "LOG", tmp_path / "log/releases.jsonl")
    monkeypatch.setattr(journal, "who", lambda: {"who": "deploy@2001:db8::7"})
    replaced(monkeypatch, "as_builder", contextlib.nullcontext)
    replaced(monkeypatch, "run", lambda *argv, check=True: pytest.fail(f"ran {argv}"))
    return tmp_path


def release(root: Path, id: str, *, live: bool = False, **facts: object) -> str:
    (root / "releases" / id).mkdir()
    (root / "releases" / id / "release.json").write_text(json.dumps({"state": "served", "served_at": 1, **facts}))
    if live:
        (root / "current.sock").symlink_to(f"/run/app/{id}/http.sock")
    return id


# ---- what is there ----


def test_previous_is_what_served_last_and_was_not_rolled_back_from(root: Path) -> None:
    assert store.previous() is None
    first = release(root, f"0009-{SHA[:12]}", served_at=30)
    release(root, f"0010-{SHA[:12]}", served_at=20)
    release(root, f"0011-{SHA[:12]}", served_at=40, state="withdrawn")
    release(root, f"0012-{SHA[:12]}", state="new", served_at=None)
    live = release(root, f"10000-{SHA[:12]}", served_at=50, live=True)
    assert (store.live(), store.previous()) == (live, first)
    assert [id.split("-")[0] for id in store.releases()] == ["0009", "0010", "0011", "0012", "10000"]


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_release_without_a_whole_release_json_is_none(root: Path, text: str) -> None:
    id = release(root, f"0001-{SHA[:12]}", live=True)
    (root / "releases" / id / "release.json").write_text(text)
    assert store.releases() == []
    assert store.live() is None


def test_numbers_never_come_again(root: Path) -> None:
    assert store.next_id("a" * 12) == f"0001-{'a' * 12}"
    assert store.next_id("a" * 12) == f"0002-{'a' * 12}"
    release(root, f"0007-{'a' * 12}")
    assert store.next_id("b" * 12) == f"0008-{'b' * 12}"


# ---- the switch ----


def links(root: Path) -> tuple[str, str | None]:
    before = root / "previous"
    return (root / "current").readlink().name, before.readlink().name if before.is_symlink() else None


def test_the_folders_of_static_files_follow_the_switch(root: Path) -> None:
    first, second = (release(root, f"000{n}-{SHA[:12]}", sha256=str(n)) for n in (1, 2))
    serving.switch(first)
    assert links(root) == (first, None)
    serving.switch(second)
    assert links(root) == (second, first)
    again = release(root, f"0003-{SHA[:12]}", sha256="2")
    serving.switch(again)
    assert links(root) == (again, first), "the same code once more: pages of the first may still be open"
    serving.switch(first)
    assert links(root) == (first, again)
    assert not list(root.glob(".*.new"))


@pytest.mark.parametrize("cut", ["current", "current.sock"])
def test_a_switch_that_was_cut_is_told_by_the_socket_alone(
    root: Path, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (release(root, f"000{n}-{SHA[:12]}", sha256=str(n), served_at=n) for n in (1, 2, 3))
    serving.switch(first)
    serving.switch(second)
    store.remember(third, state="new")
    real = host.move

    def dark(new: Path, path: Path) -> None:
        if path.name == cut:
            raise SystemExit
        real(new, path)

    replaced(monkeypatch, "move", dark)
    with pytest.raises(SystemExit):
        serving.switch(third)
    replaced(monkeypatch, "move", real)
    replaced(monkeypatch, "run", lambda *argv, check=True: subprocess.CompletedProcess(argv, 0, "", ""))
    for id in (first, second):
        (root / "releases" / id / "venv").symlink_to(root / "venvs/x")
    serving.sweep()
    assert store.live() == second
    assert links(root) == (second, first)
    assert not list(root.glob(".*.new"))


# ---- maintenance ----


def test_the_maintenance_page_is_the_app_s_own_or_a_plain_one(root: Path) -> None:
    upkeep.maintenance("on", None)
    assert "Back soon" in (root / "maintenance.html").read_text()
    id = release(root, f"0001-{SHA[:12]}", live=True, maintenance_page="pages/back.html")
    (root / "releases" / id / "src/pages").mkdir(parents=True)
    (root / "releases" / id / "src/pages/back.html").write_text("mine")
    upkeep.maintenance("on", None)
    assert (root / "maintenance.html").read_text() == "mine"
    assert oct((root / "maintenance.html").stat().st_mode)[-3:] == "644"
    upkeep.maintenance("off", None)
    upkeep.maintenance("off", None)
    assert not (root / "maintenance.html").exists()


def test_a_maintenance_page_that_leads_out_is_not_shown_to_the_world(root: Path) -> None:
    id = release(root, f"0001-{SHA[:12]}", live=True, maintenance_page="back.html")
    (root / "releases" / id / "src").mkdir()
    (root / "key").write_text("the host's")
    (root / "releases" / id / "src/back.html").symlink_to(root / "key")
    with pytest.raises(host.Refused, match=r"maintenance_page: back\.html is not a file of"):
        upkeep.maintenance("on", None)
    assert not (root / "maintenance.html").exists()


# ---- the log and the lock ----


def test_history_has_each_command_once_with_its_end() -> None:
    with cli.one_at_a_time("deploy"):
        assert [entry["result"] for entry in journal.history()] == ["at work"]
    with pytest.raises(host.Refused), cli.one_at_a_time("rollback"):
        raise host.Refused("no such release\nand its journal")
    journal.note(what="restart", result="begun")  # and then kill -9
    upkeep.maintenance("on", None)
    told = [(entry["what"], entry["result"], entry.get("reason")) for entry in journal.history()]
    assert told == [
        ("deploy", "done", None),
        ("rollback", "failed", "no such release"),
        ("restart", "killed", None),
        ("maintenance on", "done", None),
    ]
    assert {entry["who"] for entry in journal.history()} == {"deploy@2001:db8::7"}
    assert oct(journal.LOG.stat().st_mode)[-3:] == "640"


def test_the_log_is_bounded_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_LOG", 2000)
    for _ in range(100):
        with cli.one_at_a_time("deploy"):
            pass
    files = sorted(journal.LOG.parent.iterdir())
    assert [path.name for path in files] == ["releases.jsonl", "releases.jsonl.1"]
    assert sum(path.stat().st_size for path in files) < 6000
    assert {entry["result"] for entry in journal.history()} == {"done"}


def test_a_dead_owner_never_blocks_and_a_living_one_is_named(root: Path) -> None:
    owner = """
import fcntl, sys, time
with open(sys.argv[1], "a") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.write(f"{int(time.time())} 4711 deploy by me@2001:db8::7")
    lock.flush()
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(["python3", "-c", owner, root / "lock"], stdout=subprocess.PIPE) as held:
        assert held.stdout
        held.stdout.readline()
        assert re.fullmatch(
            r"busy for \d+ s: deploy by me@2001:db8::7 \(to stop and undo it: sudo kill 4711\)", journal.holder() or ""
        )
        held.kill()
        held.wait()
    assert journal.holder() is None
    with cli.one_at_a_time("deploy"):
        pass


@pytest.mark.parametrize("after", ["", "half", "again and half"])
def test_why_an_app_does_not_load_is_told_whole_while_it_is_started_again(
    after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "The app did not load:\nTraceback (most recent call last):\nValueError: no s3cret\n"
    half = "The app did not load:\nTraceb"
    said = whole + {"": "", "half": half, "again and half": whole + half}[after]
    monkeypatch.setattr(journal, "run", lambda *argv, check: subprocess.CompletedProcess(argv, 0, said, ""))
    told = journal.not_loaded("app@1", 30, {"SECRET_KEY": "s3cret"}, since=0)
    assert told.splitlines()[1:] == [
        "  | The app did not load:",
        "  | Traceback (most recent call last):",
        "  | ValueError: no [SECRET_KEY]",
    ]


def test_the_person_is_known_by_the_key_that_sshd_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "journalctl": "Accepted publickey for deploy from 2001:db8::7 port 50022 ssh2: ED25519 SHA256:abc/+x\n",
        "ssh-keygen": "256 SHA256:other you@there (ED25519)\n256 SHA256:abc/+x me at home (ED25519)\n",
    }
    asked: list[tuple[Any, ...]] = []

    def run(*argv: Any, check: bool = True) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, said[argv[0]], "")

    monkeypatch.setattr(journal, "run", run)
    script = "import os, sys, time; print('up', flush=True); time.sleep(60)"
    connection = "2001:db8::7 50022 2001:db8::1 22"
    environment = {"SSH_CONNECTION": connection, "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(["python3", "-c", script], env=environment, stdout=subprocess.PIPE) as login:
        assert login.stdout
        login.stdout.readline()
        monkeypatch.setattr(journal.os, "getppid", lambda: login.pid)
        monkeypatch.setenv("SUDO_USER", "deploy")
        assert _who() == {"who": "deploy@2001:db8::7", "key": "SHA256:abc/+x me at home"}
        login.kill()
    assert "2001:db8::7 port 50022 " in asked[0][-1]


_who = journal.who.__wrapped__


# ---- the environment ----

unfit = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\t\n")
environments = st.dictionaries(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]*\Z"), st.text(unfit))


@given(environments)
def test_the_environment_is_read_back_as_written(environment: dict[str, str]) -> None:
    folder = host.RELEASES / "x"
    folder.mkdir(exist_ok=True)
    (folder / "environment").write_text(app_environment.environment_file(environment))
    assert app_environment.read_environment("x") == environment


@pytest.mark.parametrize("value", ["a\0b", "\x1b[0m", "a\rb", "\x7f", "\ud800", "\uffff", "\U0001fffe", "\ufdd0"])
def test_what_systemd_would_drop_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(host.Refused, match=r"^environment\.TOKEN has '\\"):
        app_environment.environment_file({"TOKEN": f"secret{value}"})


def test_too_long_a_value_is_refused() -> None:
    with pytest.raises(host.Refused, match=r"^environment\.TOKEN has 100001 bytes"):
        app_environment.environment_file({"TOKEN": "x" * 100_001})


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n", "Ä"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(host.Refused, match="is not a variable's name"):
        app_environment.environment_file({name: "x"})


@given(environments)
def test_no_shape_of_a_value_is_left_in_a_log(environment: dict[str, str]) -> None:
    shapes = app_environment.secrets(environment)
    assert set(shapes.values()) <= environment.keys()
    assert list(map(len, shapes)) == sorted(map(len, shapes), reverse=True)
    for value in environment.values():
        if len(value.strip()) >= 4:
            assert {value.strip(), repr(value)[1:-1].strip(), json.dumps(value)[1:-1].strip()} <= shapes.keys()


def test_a_password_within_a_url_is_a_secret_too() -> None:
    shapes = app_environment.secrets({"DATABASE_URL": "postgresql://me:p%40ss-word@db/x", "ON": "1"})
    assert {"p%40ss-word", "p@ss-word"} <= shapes.keys()
    assert "1" not in shapes, "what is in every line hides nothing"


# ---- the manifest ----

MANIFEST: dict[str, Any] = {"source": SHA[:12], "sha256": SHA, "run": ["x"]}


def manifest(**changes: Any) -> dict[str, Any]:
    return {**MANIFEST, "archive": str(host.INCOMING / "x.tar.gz"), **changes}


def test_a_whole_manifest() -> None:
    assert cli.checked(manifest())["keep"] == 5


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"colour": 1}, "colour unknown or of another type"),
        ({"run": "x"}, "run unknown or of another type"),
        ({"keep": "5"}, "keep unknown or"),
        ({"environment": ["x"]}, "environment unknown or"),
        ({"source": "x"}, "source must be the first 12"),
        ({"sha256": SHA.upper()}, "sha256 must have 64"),
        ({"sha256": None}, "or commit 40"),
        ({"sha256": None, "commit": "main"}, "or commit 40"),
        ({"archive": "/etc/shadow"}, "is neither in"),
        ({"archive": "../x"}, "is neither in"),
        ({"archive": "http://example.com/x.zip"}, "is neither in"),
        ({"sha256": None, "commit": SHA[:40], "archive": "https://example.com/x.zip"}, "is not git"),
        ({"sha256": None, "commit": SHA[:40], "archive": f"git+file:///x@{SHA[:40]}"}, "is not git"),
        ({"environment": {"A B": "x"}}, "is not a variable's name"),
    ],
)
def test_a_manifest_that_is_not(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(host.Refused, match=problem):
        cli.checked(manifest(**changes))


def test_the_digest_tells_environments_apart_and_is_keyed(root: Path) -> None:
    digests = {store.digest_of(manifest(environment={"A": value})) for value in ("1", "2", "1")}
    assert len(digests) == 2
    assert oct((root / "key").stat().st_mode)[-3:] == "600"
    (root / "key").write_text("another host's")
    assert store.digest_of(manifest(environment={"A": "1"})) not in digests


# ---- building ----


def installation(root: Path, files: dict[str, str], *requirements: str) -> tuple[str, str]:
    src = root / "src"
    subprocess.run(["rm", "-rf", str(src)], check=True)
    src.mkdir()
    for name, text in files.items():
        (src / name).write_text(text)
    return build.installation(src, list(requirements))


PROJECT = '[project]\nname = "x"\n'
PACKAGE = f"{PROJECT}[build-system]\nrequires = []\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"uv.lock": "", "requirements.txt": "flask"}, "uv pip install -r requirements.txt\n"),
        ({"requirements.txt": "flask"}, "uv pip install -r requirements.txt\n"),
        ({"requirements.txt": "flask --hash=sha256:00"}, "uv pip install -r requirements.txt --require-hashes\n"),
        ({"pyproject.toml": PROJECT, "uv.lock": "x"}, "uv pip install --require-hashes -r $1/locked.txt\n"),
        ({"pyproject.toml": PACKAGE, "uv.lock": "x"}, "locked.txt\nuv pip install --no-deps .\n"),
        (
            {"pyproject.toml": PROJECT, "uv.lock": 'source = { git = "x" }'},
            "uv sync --frozen --no-dev --no-editable\n",
        ),
        ({"pyproject.toml": PROJECT, "requirements.txt": "flask"}, "uv pip install -r requirements.txt\n"),
        ({"pyproject.toml": PROJECT}, "uv pip install -r pyproject.toml\n"),
        ({"pyproject.toml": PACKAGE}, "uv pip install .\n"),
    ],
)
def test_what_is_installed_from_what(root: Path, files: dict[str, str], command: str) -> None:
    assert command in installation(root, files)[1]


def test_nothing_to_install_from(root: Path) -> None:
    with pytest.raises(host.Refused, match="what to install"):
        installation(root, {"app.py": "x"})


@pytest.mark.parametrize(
    ("files", "same"),
    [
        ({"requirements.txt": "flask"}, True),
        ({"pyproject.toml": PROJECT}, True),
        ({"pyproject.toml": PACKAGE}, False),
        ({"requirements.txt": "flask\n-e ."}, False),
        ({"requirements.txt": "flask\n./vendored/x.whl"}, False),
        ({"requirements.txt": "x @ file:x.whl"}, False),
        ({"pyproject.toml": PROJECT, "uv.lock": 'source = { virtual = "." }'}, True),
        ({"pyproject.toml": PROJECT, "uv.lock": 'source = { editable = "lib" }'}, False),
    ],
)
def test_code_alone_makes_no_new_environment_unless_it_is_installed(
    root: Path, files: dict[str, str], same: bool
) -> None:
    first = installation(root, {**files, "app.py": "1"})[0]
    assert (installation(root, {**files, "app.py": "2"})[0] == first) is same


def test_any_requirements_file_makes_a_new_environment(root: Path) -> None:
    files = {"requirements.txt": "-r base.txt", "base.txt": "flask==1"}
    first = installation(root, files)[0]
    assert installation(root, {**files, "base.txt": "flask==2"})[0] != first
    assert installation(root, files, "waitress==3.0.2")[0] != first


def test_the_launcher_is_a_shell_script_that_says_the_same(root: Path) -> None:
    argv = ["{venv}/bin/python", "-c", "print('{socket} {braces}')\nprint(\"$HOME\")", "{release}", "{src}/x"]
    text = build.launcher("0001-x", argv, {"FLASK_APP": "app:create_app('$x')"}, ["/up loads"])
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    started = shlex.split(text.partition("\nexec ")[2])
    folder = root / "releases/0001-x"
    assert started == [
        f"{folder}/venv/bin/python",
        "-c",
        "print('/run/app/0001-x/http.sock {braces}')\nprint(\"$HOME\")",
        "0001-x",
        f"{folder}/src/x",
    ]
    assert f"\nmkdir -p '{root}/shared/up loads' || exit\n" in text
    show = text.partition("\nexec ")[0].replace("|| exit", "") + '\necho "$FLASK_APP"'
    for environment, seen in (({}, "app:create_app('$x')"), ({"FLASK_APP": "mine"}, "mine"), ({"FLASK_APP": ""}, "")):
        done = subprocess.run(["/bin/sh"], input=show, env=environment, capture_output=True, text=True)
        assert done.stdout == f"{seen}\n"


# ---- unpacking ----


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> tuple[Path, str]:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    path = host.INCOMING / "x.tar.gz"
    path.write_bytes(content.getvalue())
    return path, hashlib.sha256(content.getvalue()).hexdigest()


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_modes_and_times_are_the_host_s(root: Path) -> None:
    path, sha256 = packed((entry("a/x", mode=0o4777), b"x"), (entry("y", mode=0o600), b"y"))
    sources.unpack(path, sha256, root / "src", shown=str(path), do="upload it again")
    assert oct((root / "src/a/x").stat().st_mode)[-4:] == "0755"
    assert oct((root / "src/y").stat().st_mode)[-4:] == "0644"
    assert (root / "src/y").stat().st_mtime > 1e9, "an ETag made of time and size must change with the release"


@pytest.mark.parametrize(
    "bad",
    [
        entry("../x"),
        entry("/../../x"),
        entry("x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("x", type=tarfile.SYMTYPE, linkname="../../x"),
        entry("x", type=tarfile.LNKTYPE, linkname="../key"),
        entry("x", type=tarfile.CHRTYPE),
        entry("x", type=tarfile.FIFOTYPE),
    ],
    ids=lambda bad: f"{bad.name} {bad.linkname}",
)
def test_nothing_gets_out(root: Path, bad: tarfile.TarInfo) -> None:
    path, sha256 = packed((bad, b""))
    with pytest.raises(host.Refused, match=r"^archive .*x\.tar\.gz: "):
        sources.unpack(path, sha256, root / "src", shown=str(path), do="upload it again")
    assert not (root / "x").exists()


def test_bombs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = packed(*((entry(f"f{n}"), b"x" * 100) for n in range(30)))
    replaced(monkeypatch, "MAX_UNPACKED", 2000)
    with pytest.raises(host.Refused, match="files unpacked"):
        sources.unpack(path, sha256, root / "a", shown="x", do="")
    replaced(monkeypatch, "MAX_UNPACKED", 1 << 30)
    replaced(monkeypatch, "MAX_FILES", 20)
    with pytest.raises(host.Refused, match="20 files unpacked"):
        sources.unpack(path, sha256, root / "b", shown="x", do="")


def zipped(*entries: tuple[zipfile.ZipInfo, str]) -> tuple[Path, str]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in entries:
            archive.writestr(member, text)
    path = host.INCOMING / "x.zip"
    path.write_bytes(content.getvalue())
    return path, hashlib.sha256(content.getvalue()).hexdigest()


def zip_entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


def test_a_zip_and_its_single_folder(root: Path) -> None:
    path, sha256 = zipped((zip_entry("app-1.2/run", 0o100755), "x"), (zip_entry("app-1.2/a/y"), "y"))
    (root / "r").mkdir()
    (root / "r/src").mkdir()
    sources.unpack(path, sha256, root / "r/src", shown="x", do="")
    sources.strip(root / "r/src")
    found = {p.relative_to(root / "r").as_posix(): oct(p.stat().st_mode)[-3:] for p in (root / "r").rglob("*")}
    assert found == {"src": "755", "src/run": "755", "src/a": "755", "src/a/y": "644"}


@pytest.mark.parametrize(
    ("name", "mode", "problem"),
    [("../x", 0o100644, "leads out"), ("/x", 0o100644, "leads out"), ("x", 0o120777, "is a link")],
)
def test_nothing_gets_out_of_a_zip(root: Path, name: str, mode: int, problem: str) -> None:
    path, sha256 = zipped((zip_entry(name, mode), "/etc/passwd"))
    with pytest.raises(host.Refused, match=rf"^archive there: .*{problem}"):
        sources.unpack(path, sha256, root / "src", shown="there", do="")
    assert not (root / "x").exists()


def test_a_zip_bomb(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = zipped(*((zip_entry(f"f{n}"), "x" * 1000) for n in range(5)))
    monkeypatch.setattr(sources, "MAX_UNPACKED", 3000)
    with pytest.raises(host.Refused, match="files unpacked"):
        sources.unpack(path, sha256, root / "src", shown="x", do="")


def test_a_link_in_place_of_an_archive_is_not_followed(root: Path) -> None:
    (root / "incoming/x.tar.gz").symlink_to("/etc/passwd")
    with pytest.raises(host.Refused, match="upload it again"):
        sources.unpack(root / "incoming/x.tar.gz", SHA, root / "src", shown="x", do="upload it again")
