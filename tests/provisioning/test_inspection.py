"""An app's folder is looked over without being run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning import inspection
from provisioning.inspection import AppRefused, Versions
from tests.provisioning.test_app import FLASK, lay

VERSIONS = Versions(oldest_safe={"waitress": "3.0.1"}, too_new={})


def inspect(folder: Path, entrypoint: str, **files: str) -> None:
    named = {f"app.{key}": path for key, path in files.items()}
    inspection.inspect(folder, entrypoint, VERSIONS, files=named)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay(tmp_path / "site", {"app.py": FLASK, "requirements.txt": "flask==3.1.3\n"})


def test_the_host_says_the_same_in_the_same_words(folder: Path) -> None:
    """As the release tool runs it: a file by itself, on the standard library."""
    asked = {"entrypoint": "app:ap", "files": {}, "oldest_safe": {"waitress": "3.0.1"}, "too_new": {}}
    argv = [sys.executable, "-IB", inspection.__file__, str(folder), json.dumps(asked)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1
    with pytest.raises(AppRefused) as refused:
        inspect(folder, "app:ap")
    assert done.stderr == f"{refused.value}\n"
    assert subprocess.run([*argv[:-1], json.dumps(asked | {"entrypoint": "app:app"})]).returncode == 0


FACTORY = "from flask import Flask\ndef create_app(config=None, *, debug=False):\n    return Flask(__name__)\n"

GOOD = {
    "module": ({"app.py": FLASK}, "app:app"),
    "package": ({"site/__init__.py": FLASK}, "site:app"),
    "module in a package": ({"site/web.py": FLASK, "site/__init__.py": ""}, "site.web:app"),
    "src layout": ({"src/site/__init__.py": FLASK}, "site:app"),
    "namespace package": ({"a/b/c.py": FLASK}, "a.b.c:app"),
    "factory": ({"app.py": FACTORY}, "app:create_app()"),
    "factory with arguments": ({"app.py": FACTORY}, "app:create_app({'A': 1}, debug=True)"),
    "arguments that are needed": ({"app.py": "def make(a, *, b): ..."}, "app:make('x', b=2)"),
    "file": ({"deploy/site-wsgi.py": "from app import app as application"}, "deploy/site-wsgi.py"),
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
    inspect(lay(tmp_path, {**files, "requirements.txt": "flask"}), entrypoint)


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
        inspect(lay(tmp_path, {**files, "requirements.txt": "flask"}), entrypoint)
    assert str(refused.value).startswith(f'app.entrypoint: "{entrypoint}": ')
    assert "\n" not in str(refused.value)


def test_what_is_not_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path, {"app.py": "app = (", "requirements.txt": "flask"})
    monkeypatch.setattr(inspection.sys, "version_info", (3, 13))
    with pytest.raises(AppRefused, match=r"app\.source: app\.py is not Python: .*line 1"):
        inspect(folder, "app:app")
    monkeypatch.setattr(inspection.sys, "version_info", (3, 11))
    inspect(folder, "app:app")  # what only a newer Python may know


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
    inspect(lay(tmp_path, {"app.py": FLASK, **files}), "app:app")


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
        inspect(lay(tmp_path, {"app.py": FLASK, **files}), "app:app")
    assert str(refused.value).startswith("app.source: ")


def test_a_maintenance_page_that_is_not_there(folder: Path) -> None:
    (folder / "back.html").write_text("back")
    inspect(folder, "app:app", maintenance_page="back.html")
    with pytest.raises(AppRefused, match=r'app\.maintenance_page: "backs\.html" is not a file in '):
        inspect(folder, "app:app", maintenance_page="backs.html")


def test_static_files_that_are_not_there(folder: Path) -> None:
    lay(folder, {"assets/site.css": "x"})
    for there in ("assets", "assets/site.css"):
        inspect(folder, "app:app", static=there)
    with pytest.raises(AppRefused, match=r'app\.static: "asset" is not a file or folder in '):
        inspect(folder, "app:app", static="asset")
    with pytest.raises(AppRefused, match=r'app\.error_page: "assets" is not a file in '):
        inspect(folder, "app:app", error_page="assets")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppRefused, match=r'app\.source: ".*/nowhere" does not exist; allowed: the app\'s folder'):
        inspect(tmp_path / "nowhere", "app:app")
