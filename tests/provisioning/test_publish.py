"""What of an app is laid out for the proxy to serve; that each proxy serves it so: test_files_machine.py."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning import origin
from releasing import publish
from tests.provisioning.test_app import lay

CSS = "body { color: red }\n" * 50


class Published:
    """An app's source, published again and again with one cache, as releases are."""

    def __init__(self, home: Path) -> None:
        self.home, self.src, self.cache = home, home / "src", home / "cache"
        self.cache.mkdir()
        self.releases = 0

    def publish(self, static: dict[str, list[str]] | None = None, error_page: str | None = None) -> list[str]:
        """Paths of what is published now."""
        self.releases += 1
        self.public.mkdir()
        wanted = {"/static": ["static"]} if static is None else static
        publish.publish(self.src, self.public, publish.Cache(self.cache), wanted, error_page)
        found = [path for path in self.public.rglob("*") if not path.is_dir()]
        assert not [path for path in found if path.is_symlink()]
        return sorted(path.relative_to(self.public).as_posix() for path in found)

    @property
    def public(self) -> Path:
        return self.home / f"public-{self.releases}"


@pytest.fixture
def app(tmp_path: Path) -> Published:
    return Published(tmp_path)


@pytest.fixture
def no_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    "name",
    [
        *("app.3f2a90c1b4d5.css", "app.9f8e7d6c.js", "d41d8cd98f00b204.9f8e7d6c5b4a39281706.chunk.js"),
        *("main-d41d8cd98f00b204e9800998ecf8427e.css", "index-BxZ3_k9q.js", "index-B-Z3k9q0.css", "a-DJXGOeYs.woff2"),
        *("index-BxZ3_k9q.js.map", "app.3f2a90c1b4d5.min.js"),
    ],
)
def test_a_name_with_a_hash(name: str) -> None:
    assert publish.immutable(f"/static/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("site.css", "site.min.css", "jquery-3.7.1.min.js", "logo-vertical.svg", "logo-DarkMode.svg", "day-mode.css"),
        *("report-20241231.pdf", "2024-12-31.csv", "book-Chapter1.pdf", "photo-IMG12345.jpg", "my-Day-Mode.svg"),
        *("3f2a90c1b4d5.css", "3f2a90c1b4d5", "app.3f2a90c.css", "app.3f2a90c1b4d5", "a.3F2A90C1B4D5.css"),
        *("app.3f2a90c1b4d5/site.css", "some-file-name.txt", "bootstrap-icons.woff2", "fabaceae-fabaceae.jpg"),
    ],
)
def test_a_name_without_one(name: str) -> None:
    assert not publish.immutable(f"/static/{name}")


def test_only_what_is_meant_to_be_seen(app: Published, no_brotli: None) -> None:
    lay(app.src, {
        "app.py": "secret", ".env": "secret", "other/x.css": "x",
        "static/a.css": "a", "static/img/b.png": "b", "static/Ä ö.txt": "c",
        "static/.env": "s", "static/.git/config": "s", "static/x/.hidden/y.css": "s", "static/m.py": "s",
        "static/m.PYC": "s", "static/a\nb.css": "s", "static/a?b.css": "s", "static/a\\b.css": "s",
    })  # fmt: skip
    for name, target in {
        "within.css": "img/../a.css",
        "out.css": "../app.py",
        "far.css": "/etc/passwd",
        "folder": "img",
        "up": "..",
        "broken.css": "none",
        "loop.css": "loop.css",
        "hidden.css": ".env",
    }.items():
        (app.src / "static" / name).symlink_to(target)
    assert app.publish() == [f"static/plain/static/{name}" for name in ("a.css", "img/b.png", "within.css", "Ä ö.txt")]


def test_a_folder_that_is_a_link_or_not_there_or_a_file(app: Published) -> None:
    lay(app.src, {"real/a.css": "a", "robots.txt": "r", "app.py": "s"})
    (app.src / "linked").symlink_to("real")
    (app.src / "out").symlink_to("/etc")
    static = {
        "/a": ["none", "real"],
        "/b": ["none"],
        "/c": ["linked"],
        "/d": ["out"],
        "/robots.txt": ["robots.txt"],
    }
    assert app.publish(static) == ["static/plain/a/a.css", "static/plain/robots.txt"]


def test_of_two_urls_for_a_path_the_longer_is_meant(app: Published) -> None:
    lay(app.src, {"static/vendor/a.css": "short", "node/a.css": "long"})
    assert app.publish({"/static": ["static"], "/static/vendor": ["node"]}) == ["static/plain/static/vendor/a.css"]
    assert (app.public / "static/plain/static/vendor/a.css").read_text() == "long"


def test_compressed_where_it_gets_smaller(app: Published, no_brotli: None) -> None:
    lay(app.src, {"static/a.css": CSS, "static/tiny.css": "a", "static/a.png": CSS, "static/b.3f2a90c1b4d5.js": CSS})
    assert app.publish() == [
        "immutable/gzip/static/b.3f2a90c1b4d5.js",
        "immutable/plain/static/b.3f2a90c1b4d5.js",
        "static/gzip/static/a.css",
        *(f"static/plain/static/{name}" for name in ("a.css", "a.png", "tiny.css")),
    ]
    packed = (app.public / "static/gzip/static/a.css").read_bytes()
    assert gzip.decompress(packed).decode() == CSS
    shutil.rmtree(app.cache)
    app.cache.mkdir()
    app.publish()
    assert (app.public / "static/gzip/static/a.css").read_bytes() == packed, "the same bytes whenever it is made"


def test_each_coding_is_smaller_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that time and size, which an ETag is made of, tell them apart."""
    zipped = len(gzip.compress(CSS.encode(), 9, mtime=0))
    for size, codings in ((zipped, ["gzip"]), (zipped - 1, ["gzip", "br"])):
        monkeypatch.setattr(shutil, "which", lambda name: "/bin/brotli")
        done = subprocess.CompletedProcess((), 0, b"x" * size)
        monkeypatch.setattr(subprocess, "run", lambda *_, done=done, **__: done)
        assert [coding for coding, _ in publish.encodings(CSS.encode())] == codings


def test_what_changed_is_later_than_all_before_it_even_within_a_second(
    app: Published, no_brotli: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its ETag, of time and size, would be the old one's."""
    monkeypatch.setattr(time, "time", lambda: 1e9)
    seen = set[float]()
    for colour in ("red", "tan", "red"):
        lay(app.src, {"static/a.css": f"{CSS}{colour}"})
        app.publish()
        seen.add((app.public / "static/plain/static/a.css").stat().st_mtime)
    assert len(seen) == 3


def test_what_did_not_change_keeps_its_time_and_is_not_compressed_again(
    app: Published, no_brotli: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, changed = "static/a.css", "static/b.css"
    lay(app.src, {kept: CSS, changed: CSS + "1"})
    app.publish()
    for path in app.cache.iterdir():
        os.utime(path, (1e9, 1e9))
    shutil.rmtree(app.src)
    lay(app.src, {kept: CSS, changed: CSS + "2"})
    compressed: list[bytes] = []
    real = gzip.compress
    monkeypatch.setattr(gzip, "compress", lambda data, *a, **k: compressed.append(data) or real(data, *a, **k))
    app.publish()
    times = {name: (app.public / f"static/{name}").stat().st_mtime for name in
             ("plain/static/a.css", "gzip/static/a.css", "plain/static/b.css", "gzip/static/b.css")}  # fmt: skip
    assert [*times.values()][:2] == [1e9, 1e9]
    assert all(abs(at - time.time()) < 60 for at in [*times.values()][2:])
    assert compressed == [f"{CSS}2".encode()]
    assert len(list(app.cache.iterdir())) == 4, "what only the release before had is forgotten"


def test_no_later_build_can_change_what_is_served(app: Published, no_brotli: None) -> None:
    """The cache is the builder's; what is served must be no second name of what is in there."""
    lay(app.src, {"static/a.css": CSS})
    app.publish()
    cached = {path.stat().st_ino for path in app.cache.iterdir()}
    assert not cached & {path.stat().st_ino for path in app.public.rglob("*")}


def test_the_error_page(app: Published, capsys: pytest.CaptureFixture[str]) -> None:
    lay(app.src, {"pages/down.html": "down", "static/a.css": "a"})
    assert app.publish({}, "pages/down.html") == ["error.html"]
    (app.src / "out.html").symlink_to("/etc/passwd")
    for name in ("none.html", "pages", "out.html"):
        with pytest.raises(SystemExit, match=rf"app\.error_page: {re.escape(name)} is not a file of the app"):
            app.publish({}, name)


def test_as_the_host_runs_it_a_file_by_itself(app: Published) -> None:
    lay(app.src, {"static/a.css": "a"})
    app.public.mkdir()
    asked: dict[str, Any] = {"static": {"/static": ["static"]}, "error_page": None}
    argv = [sys.executable, "-IB", publish.__file__, app.src, app.public, app.cache]
    subprocess.run([*argv, json.dumps(asked)], check=True)
    assert (app.public / "static/plain/static/a.css").read_text() == "a"
    done = subprocess.run([*argv, json.dumps(asked | {"error_page": "x"})], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "app.error_page: x is not a file of the app\n")


@given(st.text(min_size=1, max_size=12).filter(lambda name: name not in (".", "..")))
def test_names_are_published_only_as_the_proxy_asks_for_them(name: str) -> None:
    served = re.compile(origin.below(("/static",)).replace("$", r"\Z"))
    if publish.fit(name):
        assert served.match(f"/static/{name}")
        name.encode()
