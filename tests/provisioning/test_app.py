from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any

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
    made = app.manifest(app.AppOnTheWeb(url=url, sha256=sha256), settings, "app:app", "example.com")
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
    made = app.manifest(packed, settings, "app:app", "example.com")
    assert made["archive"] == f"/srv/app/incoming/{packed.source}.tar.gz"
    assert made["health"] == {"path": "/", "host": "example.com", "timeout": 30}
    assert made["variables"] == {"FLASK_APP": "app:app"}
    assert (made["release_command"], made["keep"], made["drain"]) == (["flask", "db", "upgrade"], 7, 30)
    assert "environment" not in made
    assert "green" not in str(made)


@pytest.mark.parametrize(
    ("entrypoint", "places"),
    [
        ("app:app", ["app/static", "static", "src/app/static", "src/static"]),
        ("shop.web:create_app()", ["shop/web/static", "shop/static", "src/shop/web/static", "src/shop/static"]),
        ("site/wsgi.py", ["site/static"]),
        ("wsgi.py", ["static"]),
    ],
)
def test_static_files_are_where_flask_has_them(entrypoint: str, places: list[str]) -> None:
    asked: dict[str, Any] = {"source": "x", "entrypoint": entrypoint}
    assert app.static(App.model_validate(asked), entrypoint) == {"/static": places}
    assert app.static(App.model_validate({**asked, "static": {}}), entrypoint) == {}
    named = App.model_validate({**asked, "static": {"/a/": "./b/"}})
    assert app.static(named, entrypoint) == {"/a": ["b"]}


def test_a_manifest_brings_what_compresses_only_where_there_is_something_to(folder: Path, tmp_path: Path) -> None:
    packed = app.archive(folder, tmp_path / "out")
    for static, brought in ((None, True), ({}, False)):
        asked = App.model_validate({"source": str(folder), "entrypoint": "app:app", "static": static})
        assert ("brotli" in app.manifest(packed, asked, "app:app", "example.com")["packages"]) is brought
