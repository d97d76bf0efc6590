"""What of the proxy and the host's door depends on the site: the files that `origin configure` takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from provisioning.proxies import PROGRAMS, Kind
from provisioning.ranges import CloudflareRanges
from provisioning.render import render

STOP_TIMEOUT = 45
"""Seconds that the proxy's unit gives it to stop (TimeoutStopSec)."""

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "strict-origin-when-cross-origin",
    }
)
"""Said for an app that does not say them itself, beside Strict-Transport-Security."""

DROPPED = (
    *("Forwarded", "X-Forwarded-*", "X-Original-*", "X-Rewrite-*", "X-Real-*", "X-Client-*", "X-Cluster-*"),
    *("X-Scheme", "X-Host", "X-Url-Scheme", "Front-End-Https", "True-Client-IP", "Client-IP", "Proxy", "Via"),
)
"""What proxies say about visitors: never passed on, whoever says it. A * stands for any end of a name."""

CIPHERS = ":".join(
    (
        *("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        *("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
    )
)
GROUPS = "X25519MLKEM768:X25519:prime256v1:secp384r1"
"""As OpenSSL writes them: what is left of TLS 1.2's ciphers, and key agreements, the one that outlives quantum
computers first. Caddy's own defaults are these."""

COMPRESSED = (
    *("text/html", "text/plain", "text/css", "text/javascript", "text/xml", "application/javascript"),
    *("application/json", "application/manifest+json", "application/xml", "application/rss+xml"),
    *("application/atom+xml", "application/wasm", "image/svg+xml", "font/ttf", "font/otf"),
)

_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, kw_only=True)
class ProxyOptions:
    """Limits of the proxy; times in seconds.

    Raises ValueError for a path that would need quoting and for a grace period that the unit would cut off.
    """

    kind: Kind = "caddy"
    max_body: int = 100_000_000
    """Bytes of a request's body. The default is what Cloudflare itself lets through on its free and pro plans."""
    header_timeout: int = 10
    body_timeout: int = 120
    response_timeout: int = 120
    """How long the app may take to begin its answer; Cloudflare gives up (524) after 120 s."""
    idle_timeout: int = 930
    restart_wait: int = 10
    """How long a request waits for an app that is being restarted before it gets a 502; Caddy alone can wait."""
    grace_period: int = 30
    """How long a stopping or reloading proxy waits for requests under way; less than STOP_TIMEOUT."""
    hsts: int = 31_536_000
    """max-age of Strict-Transport-Security, where the app does not set the header itself."""
    health_path: str | None = None
    """Kept out of the access log."""

    def __post_init__(self) -> None:
        if self.health_path is not None and not _PATH.fullmatch(self.health_path):
            raise ValueError(f"health path {self.health_path!r}: letters, digits and . _ ~ / - after a leading /")
        if not 0 <= self.grace_period < STOP_TIMEOUT:
            raise ValueError(f"grace period {self.grace_period}: 0 to {STOP_TIMEOUT - 1} seconds")


def configuration(
    *, hostname: str, redirects: Sequence[str], ranges: CloudflareRanges, proxy: ProxyOptions
) -> dict[str, str]:
    """The site's files by name: the proxy's (PROGRAMS[kind].configuration) and "edge.nft".

    `redirects` are hostnames that answer 301 to https://`hostname` with the same path and query.
    Raises ValueError for anything that is no lower-case (punycode) hostname: these go into a configuration file.
    """
    for name in (hostname, *redirects):
        if not _HOSTNAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a hostname like example.com")
    values = {
        "hostname": hostname,
        "redirects": redirects,
        "ranges": ranges,
        "proxy": proxy,
        "security": {"Strict-Transport-Security": f"max-age={proxy.hsts}", **SECURITY_HEADERS},
        "dropped": DROPPED,
        "ciphers": CIPHERS,
        "groups": GROUPS,
        "compressed": COMPRESSED,
    }
    names = (*PROGRAMS[proxy.kind].files, "edge.nft")
    return {name: render(f"etc/origin/current/{name}.j2", **values) for name in names}
