"""publish.py SRC PUBLIC CACHE WANTED: what of a release the proxy serves from disk. Run as `build`, in a bounded unit.

WANTED is JSON: "static", the places of files in SRC by URL path, of which the first that is there is taken; and
"error_page", a file of SRC or null. PUBLIC is filled:

    error.html                          while the app does not answer
    immutable|static/<coding><URL path> coding: plain, gzip, br

`immutable` are files whose name holds their content's hash: those never change. Nothing but files that are plainly
meant to be seen gets there, no link among it, so that the proxy has nothing to look out for. All else the app is asked
for. On failure: one line on stderr.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SOURCES = {".py", ".pyc", ".pyi", ".pyx", ".wsgi"}
COMPRESSIBLE = {
    *(".css", ".js", ".mjs", ".json", ".map", ".webmanifest", ".html", ".htm", ".txt", ".md", ".csv", ".vtt"),
    *(".svg", ".xml", ".rss", ".atom", ".wasm", ".ttf", ".otf", ".ico"),
}
MAX_COMPRESSED = 16 << 20  # bytes

# name.3f2a90c1b4d5.css (Django and WhiteNoise have 12 digits, webpack 20, Parcel 8), name-<32 digits>.css
# (Flask-Static-Digest), name-BxZ3_k9q.js (Vite, Rollup: 8 characters of base64). May have two endings: .js.map.
HASH = re.compile(r"[.-]([0-9a-f]{8,64}|(?=.{0,7}[A-Z])(?=.{0,7}[a-z])[A-Za-z0-9_-]{8})(\.[a-z0-9]+){1,2}$")
# For a year nobody would see a change of logo-DarkMode.svg, report-20241231.pdf or book-Chapter1.pdf: these are words.
WORD = re.compile(r"[A-Z]?[a-z]*([A-Z][a-z]+)*[0-9]*|[A-Z]+[0-9]*")


def immutable(name: str) -> bool:
    """Whether a file's name holds a hash. In doubt it does not."""
    found = HASH.search(name)
    return bool(found) and not all(WORD.fullmatch(part) for part in re.split("[_-]", found[1]))


def fit(name: str) -> bool:
    """As provisioning/origin.py has the proxy ask for it."""
    return not re.search(r"^\.|[/\x00-\x1f%?\\\x7f\ud800-\udfff]", name) and Path(name).suffix.lower() not in SOURCES


def files(place: Path, url: str) -> Iterator[tuple[Path, str]]:
    """Files to be seen and their URL paths: `place` itself, or what is below it. A link may lead to a file within."""
    if place.is_symlink():
        return
    if place.is_file():
        yield place, url
    pending = [(place, url)] if place.is_dir() else []
    while pending:
        folder, at = pending.pop()
        for entry in sorted(folder.iterdir()):
            if not fit(entry.name):
                continue
            if entry.is_dir() and not entry.is_symlink():
                pending.append((entry, f"{at}/{entry.name}"))
            elif entry.is_file() and within(file := entry.resolve(), place.resolve()):
                yield file, f"{at}/{entry.name}"


def within(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and all(fit(part) for part in file.relative_to(folder).parts)


def encodings(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Each smaller than the one before, or there is none: so the ETag, of time and size, tells them apart."""
    zipped = gzip.compress(content, 9, mtime=0)
    if len(zipped) >= len(content):
        return
    yield "gzip", zipped
    if brotli := shutil.which("brotli"):
        smaller = subprocess.run([brotli, "-q", "11", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
        if len(smaller) < len(zipped):
            yield "br", smaller


class Cache:
    """What was compressed for the release before, by content; and since when that content is known.

    That time is its Last-Modified, so that a file that did not change is still fresh for whoever has it. New content is
    later than all of the release before, also within one second: proxies make the ETag of time and size.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, set[str]()
        self.now = max([int(time.time()), *(int(entry.stat().st_mtime) + 1 for entry in folder.iterdir())])

    def of(self, file: Path) -> tuple[float, list[tuple[str, Path]]]:
        with file.open("rb") as opened:
            name = hashlib.file_digest(opened, "sha256").hexdigest()
        compressible = file.suffix.lower() in COMPRESSIBLE and file.stat().st_size <= MAX_COMPRESSED
        known = self.folder / f"{name}{'.compressed' * compressible}"
        if not known.exists():
            for coding, content in encodings(file.read_bytes()) if compressible else ():
                with (self.folder / f"{known.name}.{coding}").open("wb") as copy:
                    copy.write(content)
                    copy.flush()
                    os.fsync(copy.fileno())  # a power cut must not leave an empty one that passes for it
            known.touch()
            os.utime(known, (self.now, self.now))
        copies = [(c, self.folder / f"{known.name}.{c}") for c in ("gzip", "br")]
        found = [(coding, copy) for coding, copy in copies if compressible and copy.exists()]
        self.used |= {known.name, *(copy.name for _, copy in found)}
        return int(known.stat().st_mtime), found

    def forget_the_rest(self) -> None:
        for entry in self.folder.iterdir():
            if entry.name not in self.used:
                entry.unlink()


def publish(src: Path, public: Path, cache: Cache, static: dict[str, list[str]], error_page: str | None) -> None:
    """Raises OSError; SystemExit with one line for a page that is none."""
    if error_page:
        page = (src / error_page).resolve()
        if not page.is_file() or not page.is_relative_to(src.resolve()):
            sys.exit(f"app.error_page: {error_page} is not a file of the app")
        shutil.copyfile(page, public / "error.html")
    for url, places in sorted(static.items(), reverse=True):
        place = next((src / each for each in places if (src / each).exists()), None)
        for file, path in files(place, url) if place else ():
            lay(file, path, public / ("immutable" if immutable(path) else "static"), cache)
    cache.forget_the_rest()


def lay(file: Path, path: str, age: Path, cache: Cache) -> None:
    if (age / f"plain{path}").exists():  # by a longer URL path
        return
    known_since, encoded = cache.of(file)
    for coding, copy in [("plain", file), *encoded]:
        target = age / f"{coding}{path}"
        target.parent.mkdir(parents=True, exist_ok=True)
        # A copy of what is cached, which the next build could change; the release's own needs no second place.
        os.link(file, target) if copy is file else shutil.copyfile(copy, target)
        os.utime(target, (known_since, known_since))


if __name__ == "__main__":
    wanted = json.loads(sys.argv[4])
    try:
        publish(Path(sys.argv[1]), Path(sys.argv[2]), Cache(Path(sys.argv[3])), wanted["static"], wanted["error_page"])
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
