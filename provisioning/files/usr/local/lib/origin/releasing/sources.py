"""The app's source into a release's folder: from an uploaded archive, one on the web, or a commit of a git repository.

What is fetched is fetched as `build`, in a unit with bounds, into a folder of its own; root only compares its checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from releasing import packages
from releasing.host import BUILD_SANDBOX, RELEASES, Refused, as_builder, run, step
from releasing.journal import tail

MAX_UNPACKED, MAX_FILES = 2 << 30, 200_000
MAX_FETCHED, FETCH_TIMEOUT = 200_000_000, 300  # bytes, as for an upload; seconds
FETCH, INSPECTION = Path(__file__).with_name("fetch.py"), Path(__file__).parents[1] / "inspection.py"

# One commit and nothing else, checked against its own name; no credentials, no hooks, no protocol but https.
GIT = """
cd $1
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=https
git init -q --bare repository
git -C repository -c transfer.fsckObjects=true -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=30 \\
    fetch -q --depth=1 --no-tags "$2" "$3"
git -C repository archive --format=tar.gz -o $1/archive "$3"
"""


def lay(id: str, manifest: dict[str, Any]) -> None:
    """releases/<id>/src, owned by `build`. Raises Refused."""
    place, src = manifest["archive"], RELEASES / id / "src"
    src.mkdir()
    shutil.chown(src, "build", "build")
    if "://" not in place:
        unpack(Path(place), manifest["sha256"], src, shown=place, do="upload it again")
        return
    with fetched(id, place, manifest["commit"]) as archive:
        unpack(archive, manifest["sha256"], src, shown=place, do="correct app.sha256, if it is the right one")
    if manifest["sha256"]:
        strip(src)
    if manifest["inspect"]:
        look_over(src, place, manifest["inspect"])


@contextmanager
def fetched(id: str, url: str, commit: str | None) -> Iterator[Path]:
    folder = RELEASES / id / "fetched"
    folder.mkdir()
    shutil.chown(folder, "build", "build")
    argv: list[str | Path] = ["/usr/bin/python3", "-IB", FETCH, url, folder / "archive", str(MAX_FETCHED)]
    if commit:
        packages.bring(id, ["git"])  # by the first release that needs it: no other host carries it
        argv = ["sh", "-euc", GIT, "sh", folder, url.removeprefix("git+").rpartition("@")[0], commit]
    unit = f"release-fetch-{id}"
    if reason := step(unit, [*BUILD_SANDBOX, f"LimitFSIZE={MAX_FETCHED}"], FETCH_TIMEOUT, *argv):
        raise Refused(f"fetching {url}: {reason}" + tail(unit, 10, {}))
    yield folder / "archive"
    shutil.rmtree(folder)


def look_over(src: Path, shown: str, asked: dict[str, Any]) -> None:
    """As `build`: what is looked at is a stranger's until then."""
    argv = ["runuser", "-u", "build", "--", "/usr/bin/python3", "-IB", INSPECTION, src, json.dumps(asked)]
    done = run(*argv, check=False)
    if done.returncode:
        raise Refused(done.stderr.strip().rpartition("\n")[2].replace(str(src), shown))


def unpack(archive: Path, sha256: str | None, src: Path, *, shown: str, do: str) -> None:
    """A tar.gz or zip, compared with its checksum before anything of it is read. None: git has done so itself."""
    try:
        file = os.fdopen(os.open(archive, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    except OSError as error:
        raise Refused(f"archive {shown}: {error.strerror}; {do}") from None
    with file:
        if sha256 and (found := hashlib.file_digest(file, "sha256").hexdigest()) != sha256:
            raise Refused(f"archive {shown}: its sha256 is {found}, not {sha256}; {do}")
        file.seek(0)
        try:
            with as_builder():
                from_zip(file, src) if zipfile.is_zipfile(file) else from_tar(file, src)
        except (tarfile.TarError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error, Refused) as error:
            raise Refused(f"archive {shown}: {error}") from None


class Bounds:
    """How much an archive may unpack to."""

    size = files = 0

    def admit(self, size: int) -> None:
        self.size, self.files = self.size + size, self.files + 1
        if self.size > MAX_UNPACKED or self.files > MAX_FILES:
            raise Refused(f"over {MAX_UNPACKED >> 20} MiB or {MAX_FILES} files unpacked")


def from_tar(file: IO[bytes], src: Path) -> None:
    # Not the archive's times: it may have none, and a static file's ETag (its time and size) must change with it.
    now, bounds = int(time.time()), Bounds()
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:gz") as tar:
        for member in tar:
            bounds.admit(member.size)
            mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            tar.extract(member.replace(mtime=now, mode=mode, deep=False), src, filter="data")


def from_zip(file: IO[bytes], src: Path) -> None:
    bounds = Bounds()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            bounds.admit(member.file_size)
            mode = member.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise Refused(f"{member.filename} is a link, which a zip can't hold safely; use a tar.gz")
            if member.filename.startswith("/") or ".." in member.filename.split("/"):
                raise Refused(f"{member.filename} leads out of the archive")
            path = Path(archive.extract(member, src))
            path.chmod(0o755 if member.is_dir() or mode & 0o100 else 0o644)


def strip(src: Path) -> None:
    """Without the single folder that an archive on the web mostly wraps its files in."""
    inside = list(src.iterdir())
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        inside[0].rename(src.with_name("unwrapped"))
        src.rmdir()
        src.with_name("unwrapped").rename(src)
