from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from provisioning import app
from provisioning.app import AppRefused
from settings import App

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay(tmp_path / "site", {"app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def names(packed: app.AppArchive) -> list[str]:
    with tarfile.open(packed.path) as tar:
        return tar.getnames()


# ---- packing ----


def test_the_name_is_the_hash_of_what_is_uploaded(folder: Path, tmp_path: Path) -> None:
    packed = app.archive(folder, tmp_path / "out")
    assert packed.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()
    assert packed.source == packed.sha256[:12]
    assert packed.path == tmp_path / "out" / f"{packed.source}.tar.gz"
    assert list((tmp_path / "out").iterdir()) == [packed.path]


def test_owner_times_modes_and_the_folder_s_place_change_nothing(folder: Path, tmp_path: Path) -> None:
    first = app.archive(folder, tmp_path / "out")
    elsewhere = lay(tmp_path / "elsewhere", {"requirements.txt": "flask==3.1.3\n", "app.py": FLASK})
    (elsewhere / "app.py").chmod(0o600)
    os.utime(elsewhere / "app.py", (1, 1))
    (elsewhere / "empty").mkdir()
    assert app.archive(elsewhere, tmp_path / "out").sha256 == first.sha256
    (elsewhere / "app.py").chmod(0o700)
    assert app.archive(elsewhere, tmp_path / "out").sha256 != first.sha256
    with tarfile.open(first.path) as tar:
        assert {(m.uid, m.gid, m.uname, m.mtime, oct(m.mode)) for m in tar} == {(0, 0, "", 0, "0o644")}


def test_what_stays_at_home(folder: Path, tmp_path: Path) -> None:
    stays = [
        ".git/config",
        ".env",
        ".env.local",
        "a/__pycache__/x.pyc",
        "my venv/pyvenv.cfg",
        "my venv/bin/python",
        ".venv/x",
    ]
    lay(folder, dict.fromkeys([*stays, "docs/a.md", "notes.tmp", "data/big.bin", "data/small.csv", "envs.py"], "x"))
    packed = app.archive(folder, tmp_path / "out", exclude=["docs/", "*.tmp", "data/*.bin"])
    assert names(packed) == ["app.py", "data/small.csv", "envs.py", "requirements.txt"]


def test_links_inside_are_kept_as_links(folder: Path, tmp_path: Path) -> None:
    lay(folder, {"static/logo.svg": "x"})
    (folder / "current").symlink_to("static")
    (folder / "static/again.svg").symlink_to("../static/logo.svg")
    packed = app.archive(folder, tmp_path / "out")
    with tarfile.open(packed.path) as tar:
        assert {m.name: m.linkname for m in tar if m.issym()} == {
            "current": "static",
            "static/again.svg": "../static/logo.svg",
        }


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "a/../../x", ".."])
def test_links_that_lead_out_are_refused(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "out").symlink_to(target)
    with pytest.raises(AppRefused, match=r"app\.source: the link out leads out of .*; do: .*app\.exclude"):
        app.archive(folder, tmp_path / "out")
    assert names(app.archive(folder, tmp_path / "out", exclude=["out"])) == ["app.py", "requirements.txt"]


def test_too_large_says_what_is_large(folder: Path, tmp_path: Path) -> None:
    lay(folder, {"data/a.bin": "x" * 2_000_000})
    with pytest.raises(AppRefused, match=r"the most are in data/a.bin \(2 MB\); allowed: 1 MB; do: .*app\.exclude"):
        app.archive(folder, tmp_path / "out", max_size=1_000_000)


def test_neither_file_nor_folder(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(AppRefused, match="pipe is neither file, folder nor link"):
        app.archive(folder, tmp_path / "out")


def test_a_file_that_can_t_be_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(AppRefused, match=r"app\.py\": Permission denied; do: make it readable"):
        app.archive(folder, tmp_path / "out")


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_no_folder(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "site"
    if kind == "file":
        folder.write_text("x")
    elif kind == "empty":
        folder.mkdir()
    with pytest.raises(AppRefused, match=r"app\.source: .*(does not exist|is a file|has no files)"):
        app.archive(folder, tmp_path / "out")


def test_old_archives_go(folder: Path, tmp_path: Path) -> None:
    old = lay(tmp_path / "out", {"0123456789ab.tar.gz": "x", "mine.txt": "x"}) / "0123456789ab.tar.gz"
    os.utime(old, (1, 1))
    app.archive(folder, tmp_path / "out")
    assert not old.exists()
    assert (tmp_path / "out/mine.txt").exists()


# ---- looking it over ----

FACTORY = "from flask import Flask\ndef create_app(config=None, *, debug=False):\n    return Flask(__name__)\n"

GOOD = {
    "module": ({"app.py": FLASK}, "app:app"),
    "package": ({"site/__init__.py": FLASK}, "site:app"),
    "module in a package": ({"site/web.py": FLASK, "site/__init__.py": ""}, "site.web:app"),
    "src layout": ({"src/site/__init__.py": FLASK}, "site:app"),
    "namespace package": ({"a/b/c.py": FLASK}, "a.b.c:app"),
    "factory": ({"app.py": FACTORY}, "app:create_app()"),
    "imported": ({"app.py": "from other import app"}, "app:app"),
    "imported as": ({"app.py": "import other as app"}, "app:app"),
    "star": ({"app.py": "from other import *"}, "app:app"),
    "lazy": ({"app.py": "def __getattr__(name): ..."}, "app:anything"),
    "annotated": ({"app.py": "app: object = make()"}, "app:app"),
    "conditional": ({"app.py": "if x:\n    app = a()\nelse:\n    app = b()"}, "app:app"),
    "in try": ({"app.py": "try:\n    from a import app\nexcept ImportError:\n    app = None"}, "app:app"),
    "only in except": ({"app.py": "try:\n    pass\nexcept ImportError:\n    app = None"}, "app:app"),
    "in with": ({"app.py": "with a() as app:\n    pass"}, "app:app"),
    "in match": ({"app.py": "match x:\n    case 1:\n        app = 1"}, "app:app"),
    "walrus": ({"app.py": "if (app := make()):\n    pass"}, "app:app"),
    "pair": ({"app.py": "app, db = make()"}, "app:app"),
    "global": ({"app.py": "def make():\n    global app\n    app = 1\nmake()"}, "app:app"),
    "attribute": ({"app.py": "site = make()"}, "app:site.wsgi"),
    "plain WSGI function": ({"app.py": "def app(environ, start_response): ..."}, "app:app"),
    "class": ({"app.py": "class App: ..."}, "app:App"),
    "coding": ({"app.py": "# -*- coding: latin-1 -*-\napp = 1"}, "app:app"),
}


@pytest.mark.parametrize("what", GOOD)
def test_entrypoints_that_are_there(tmp_path: Path, what: str) -> None:
    files, entrypoint = GOOD[what]
    app.inspect(lay(tmp_path, {**files, "requirements.txt": "flask"}), entrypoint)


BAD = {
    "no module": (
        {"main.py": FLASK},
        "app:app",
        "no module app in .*; allowed: app.py or app/__init__.py.*; do: write main:app",
    ),
    "no such name": ({"app.py": FLASK}, "app:application", "has no application at its top level; do: write app:app"),
    "only inside": ({"app.py": "def f():\n    app = 1"}, "app:app", "has no app at its top level"),
    "not called": (
        {"app.py": FACTORY},
        "app:create_app",
        r"a function that makes the app; do: write app:create_app\(\)",
    ),
    "called": ({"app.py": FLASK}, "app:app()", "app is the app itself; do: write app:app$"),
    "needs arguments": (
        {"app.py": "def make(a, *, b): ..."},
        "app:make()",
        "can't be called without a, b; do: write them between the brackets, or give them",
    ),
    "only a suggestion of a factory": ({"web.py": FACTORY}, "app:app", r"do: write web:create_app\(\)"),
}


@pytest.mark.parametrize("what", BAD)
def test_entrypoints_that_are_not(tmp_path: Path, what: str) -> None:
    files, entrypoint, problem = BAD[what]
    with pytest.raises(AppRefused, match=problem) as refused:
        app.inspect(lay(tmp_path, {**files, "requirements.txt": "flask"}), entrypoint)
    assert str(refused.value).startswith(f'app.entrypoint: "{entrypoint}": ')
    assert "\n" not in str(refused.value)


def test_what_is_not_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path, {"app.py": "app = (", "requirements.txt": "flask"})
    monkeypatch.setattr(app.sys, "version_info", (3, 13))
    with pytest.raises(AppRefused, match=r"app\.source: app\.py is not Python: .*line 1"):
        app.inspect(folder, "app:app")
    monkeypatch.setattr(app.sys, "version_info", (3, 11))
    app.inspect(folder, "app:app")  # what only a newer Python may know


PROJECT = '[project]\nname = "x"\nversion = "1"\n'
LOCK = 'version = 1\n[[package]]\nname = "waitress"\nversion = "{}"\n'


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "flask"},
        {"requirements.txt": "waitress==3.0.2"},
        {"requirements.txt": "waitress>=2\nwaitress-extras==1.0"},
        {"pyproject.toml": PROJECT},
        {"pyproject.toml": "[build-system]\nrequires = []\n"},
        {"pyproject.toml": PROJECT, "uv.lock": LOCK.format("3.0.2")},
        {"pyproject.toml": PROJECT, "uv.lock": LOCK.format("3.0.2"), "requirements.txt": "waitress==1.0"},
        {"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "flask"},
    ],
)
def test_what_says_what_to_install(tmp_path: Path, files: dict[str, str]) -> None:
    app.inspect(lay(tmp_path, {"app.py": FLASK, **files}), "app:app")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (
            {},
            "does not say what to install; allowed: uv.lock with .*, requirements.txt, or .*; do: write one",
        ),
        ({"requirements.txt": "  \n"}, "does not say"),
        ({"requirements.in": "flask"}, "does not say"),
        ({"uv.lock": LOCK.format("3.0.2")}, "does not say"),
        ({"pyproject.toml": "[tool.ruff]\n"}, "does not say"),
        ({"pyproject.toml": "[tool"}, "is not TOML"),
        (
            {"requirements.txt": "Waitress == 2.1.2"},
            "waitress 2.1.2 has known security holes; allowed: 3.0.1 or newer; do: raise",
        ),
        (
            {"pyproject.toml": PROJECT, "uv.lock": LOCK.format("3.0.0")},
            "waitress 3.0.0 has known .* raise it in uv.lock",
        ),
    ],
)
def test_what_does_not(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    with pytest.raises(AppRefused, match=problem) as refused:
        app.inspect(lay(tmp_path, {"app.py": FLASK, **files}), "app:app")
    assert str(refused.value).startswith("app.source: ")


def test_a_maintenance_page_that_is_not_there(folder: Path) -> None:
    (folder / "back.html").write_text("back")
    app.inspect(folder, "app:app", page="back.html")
    with pytest.raises(AppRefused, match=r'app\.maintenance_page: "backs\.html" is not a file in '):
        app.inspect(folder, "app:app", page="backs.html")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppRefused, match=r'app\.source: ".*/nowhere" does not exist; allowed: the app\'s folder'):
        app.inspect(tmp_path / "nowhere", "app:app")


# ---- the manifest ----


@pytest.mark.parametrize(
    ("url", "sha256", "known"),
    [
        ("https://example.com/app.zip", "ab" * 32, {"sha256": "ab" * 32}),
        (f"git+https://example.com/app@{'cd' * 20}", None, {"commit": "cd" * 20}),
    ],
)
def test_what_the_host_fetches_is_named_by_what_it_is_checked_by(
    url: str, sha256: str | None, known: dict[str, str]
) -> None:
    settings = App.model_validate({"source": url, "sha256": sha256, "entrypoint": "app:app"})
    made = app.manifest(app.AppOnTheWeb(url=url, sha256=sha256), settings, "example.com")
    assert {key: made.get(key) for key in ("archive", *known)} == {"archive": url, **known}
    assert made["source"] == next(iter(known.values()))[:12]


def test_the_manifest_has_all_but_the_environment(folder: Path, tmp_path: Path) -> None:
    settings = App.model_validate(
        {
            "source": str(folder),
            "entrypoint": "app:app",
            "release_command": ["flask", "db", "upgrade"],
            "environment": {"COLOUR": "green"},
            "keep": 7,
        }
    )
    packed = app.archive(folder, tmp_path / "out")
    made = app.manifest(packed, settings, "example.com")
    assert made["archive"] == f"/srv/app/incoming/{packed.source}.tar.gz"
    assert made["health"] == {"path": "/", "host": "example.com", "timeout": 30}
    assert made["variables"] == {"FLASK_APP": "app:app"}
    assert (made["release_command"], made["keep"], made["drain"]) == (["flask", "db", "upgrade"], 7, 30)
    assert "environment" not in made
    assert "green" not in str(made)
