"""The host's user data: what cloud-init makes of a bare Debian 13."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from provisioning.render import FILES, render
from provisioning.tools import TOOLS

Cloud = Literal["aws", "digitalocean"]

USER_DATA_LIMIT: dict[Cloud, int] = {"aws": 16_384, "digitalocean": 65_536}
"""Bytes, before the cloud's own encoding."""

_UNHASHED = "0" * 64
_HASH = re.compile(r"^  - \[/usr/local/sbin/bootstrap, ([0-9a-f]{64})\]$", re.MULTILINE)


class UserDataTooLarge(ValueError):
    """The cloud would not take this user data."""


@dataclass(frozen=True, kw_only=True)
class HostFile:
    path: str
    """Absolute, on the host."""
    mode: str
    """Octal, as cloud-init wants it."""
    content: str
    """gzip, then base64."""


def host_files() -> tuple[HostFile, ...]:
    """What a host needs before SSH answers or to get there: all of files/ but templates and tools, by path."""
    return tuple(
        HostFile(
            path=f"/{path}",
            mode="0755" if path.is_relative_to("usr/local/sbin") else "0644",
            content=_packed((FILES / path).read_bytes()),
        )
        for path in sorted(PurePosixPath(file.relative_to(FILES)) for file in FILES.rglob("*") if file.is_file())
        if path.suffix != ".j2" and str(path) not in TOOLS
    )


def user_data(*, cloud: Cloud) -> str:
    """Text of the cloud-config. It is the same for every host, and differs by `cloud` in nothing but its limit.

    Raises UserDataTooLarge when the cloud would refuse it.
    """
    files = host_files()
    unhashed = render("user-data.j2", files=files, hash=_UNHASHED)
    text = render("user-data.j2", files=files, hash=hashlib.sha256(unhashed.encode()).hexdigest())
    size, limit = len(text.encode()), USER_DATA_LIMIT[cloud]
    if size > limit:
        raise UserDataTooLarge(f"user data is {size} bytes, {cloud} takes at most {limit}")
    return text


def bootstrap_hash(user_data: str) -> str:
    """What a host that finished this user data's bootstrap has in /var/lib/origin/bootstrapped.

    Raises ValueError for a text that is not from user_data().
    """
    found = _HASH.search(user_data)
    if not found:
        raise ValueError("this user data runs no bootstrap")
    return found[1]


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
