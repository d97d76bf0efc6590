"""The app's source, from an archive into a release's folder."""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
import zlib
from pathlib import Path

from releasing.host import Refused, as_builder

MAX_UNPACKED, MAX_FILES = 2 << 30, 200_000


def unpack(archive: Path, sha256: str, src: Path) -> None:
    try:
        file = os.fdopen(os.open(archive, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    except OSError as error:
        raise Refused(f"archive {archive}: {error.strerror}; upload it again") from None
    with file:
        if (found := hashlib.file_digest(file, "sha256").hexdigest()) != sha256:
            raise Refused(f"archive {archive}: its sha256 is {found}, not {sha256}; upload it again")
        file.seek(0)
        size = files = 0
        # Not the archive's times: it has none, and a static file's ETag (its time and size) must change with it.
        now = int(time.time())
        try:
            with as_builder(), tarfile.open(fileobj=file, mode="r:gz") as tar:
                for member in tar:
                    size, files = size + member.size, files + 1
                    if size > MAX_UNPACKED or files > MAX_FILES:
                        raise Refused(f"archive {archive}: over {MAX_UNPACKED >> 20} MiB or {MAX_FILES} files unpacked")
                    mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                    tar.extract(member.replace(mtime=now, mode=mode, deep=False), src, filter="data")
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise Refused(f"archive {archive}: {error}") from None
