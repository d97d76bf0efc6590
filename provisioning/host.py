"""The host's user data: what cloud-init makes of a bare Debian 13."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from provisioning.proxies import PROGRAMS, Kind
from provisioning.render import FILES, render

Cloud = Literal["aws", "digitalocean"]

USER_DATA_LIMIT: dict[Cloud, int] = {"aws": 16_384, "digitalocean": 65_536}
"""Bytes, before the cloud's own encoding."""

AT_BOOT = (
    "etc/apt/apt.conf.d/60origin",
    "etc/nftables.conf",
    "etc/origin/proxy.j2",
    "etc/origin/uv.txt",
    "etc/ssh/sshd_config.d/00-origin.conf",
    "etc/sysctl.d/60-origin.conf",
    "etc/systemd/journald.conf.d/origin.conf",
    "etc/systemd/system/proxy.service.d/origin.conf.j2",
    "etc/systemd/system/proxy.socket.j2",
    "etc/sysusers.d/origin.conf",
    "usr/local/sbin/bootstrap",
)
"""Paths under files/, named one by one: a stray file of an editor or an interpreter must not replace a host."""
AT_BOOT_OF: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"caddy": ("etc/apt/apt.conf.d/61caddy", "etc/apt/preferences.d/caddy.pref"), "nginx": (), "apache": ()}
)
"""What one proxy needs beside that."""

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


def host_files(proxy: Kind) -> tuple[HostFile, ...]:
    """What a host needs before SSH answers or to get there."""
    program = PROGRAMS[proxy]
    return tuple(
        HostFile(
            # The drop-in goes to Debian's own unit of the proxy.
            path="/" + path.removesuffix(".j2").replace("proxy.service.d", f"{program.unit}.service.d"),
            mode="0755" if path.startswith("usr/local/sbin/") else "0644",
            content=_packed(
                render(path, kind=proxy, unit=program.unit) if path.endswith(".j2") else (FILES / path).read_text()
            ),
        )
        for path in sorted(AT_BOOT + AT_BOOT_OF[proxy])
    )


def user_data(*, cloud: Cloud, proxy: Kind) -> str:
    """Text of the cloud-config: the same for every host with that proxy, differing by `cloud` in its limit alone.

    Raises UserDataTooLarge when the cloud would refuse it.
    """
    files = host_files(proxy)
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


def _packed(content: str) -> str:
    return base64.b64encode(gzip.compress(content.encode(), 9, mtime=0)).decode()
