"""The reverse proxies that a host may run: Debian's own packages and units, each with our drop-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["caddy", "nginx", "apache"]

SOCKET = "proxy.socket"
"""systemd's unit that holds port 443, whichever proxy serves on it."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the host must know of a proxy."""

    unit: str
    """Without ".service"."""
    holds_port: bool = True
    """Whether it takes port 443 from systemd (SOCKET); else it opens the port itself."""
    uwsgi: bool = True
    """Whether it speaks uWSGI's own protocol."""
    user: str
    """Its user and its group, which may read the origin's key."""
    configuration: str
    """The file that it is started with."""
    beside: tuple[str, ...] = ()
    """What else `origin configure` takes for it."""

    @property
    def files(self) -> tuple[str, ...]:
        return (self.configuration, *self.beside)


PROGRAMS: Mapping[Kind, Program] = MappingProxyType(
    {
        "caddy": Program(unit="caddy", uwsgi=False, user="caddy", configuration="Caddyfile"),
        "nginx": Program(unit="nginx", user="www-data", configuration="nginx.conf"),
        "apache": Program(
            unit="apache2", user="www-data", configuration="apache2.conf", beside=("headers.lua",), holds_port=False
        ),
    }
)
