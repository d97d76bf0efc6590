"""The host's own tools, brought over SSH once it is up, so that a fix of one never replaces a host.

They would not fit either: EC2 takes 16 KiB of user data, and the release tool alone packs to most of that.
"""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from pathlib import Path

from provisioning import inspection
from provisioning.render import FILES

# The release tool's modules.
_LIBRARY = sorted(path.relative_to(FILES).as_posix() for path in (FILES / "usr/local/lib/origin").rglob("*.py"))

TOOLS = {
    "usr/local/sbin/origin": 0o755,
    "usr/local/sbin/release": 0o755,
    **dict.fromkeys(_LIBRARY, 0o644),
    "etc/systemd/system/app@.service": 0o644,
    "etc/systemd/system/release-converge.service": 0o644,
    "etc/systemd/system/srv-app-served.mount": 0o644,
}
"""Path under files/ and mode on the host."""

INSPECTION = "usr/local/lib/origin/inspection.py"
"""The host looks an app over that it has fetched with the very module that looks over a folder here."""

INSTALL = (
    "base64 -d | sudo tar --extract --gzip --directory=/ --no-overwrite-dir"
    " && sudo systemctl daemon-reload"
    " && sudo systemctl enable --quiet --no-reload release-converge.service srv-app-served.mount"
    " && sudo systemctl start srv-app-served.mount"
)
"""A command for `deploy` that takes archive() on its standard input. May run again, also while a site is served."""


def archive() -> str:
    """The tools as a tar.gz in base64; the same bytes for the same tools."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as files:
        content_of = {path: FILES / path for path in TOOLS} | {INSPECTION: Path(inspection.__file__)}
        for path, file in content_of.items():
            content = file.read_bytes()
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = TOOLS.get(path, 0o644), len(content)
            files.addfile(entry, io.BytesIO(content))
    return base64.b64encode(gzip.compress(tar.getvalue(), 9, mtime=0)).decode()
