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

TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "text/html; charset=utf-8": ("html", "htm"),
        "text/css; charset=utf-8": ("css",),
        "text/javascript; charset=utf-8": ("js", "mjs"),
        "text/plain; charset=utf-8": ("txt",),
        "text/markdown; charset=utf-8": ("md",),
        "text/csv; charset=utf-8": ("csv",),
        "text/vtt; charset=utf-8": ("vtt",),
        "application/json": ("json", "map"),
        "application/manifest+json": ("webmanifest",),
        "application/xml": ("xml",),
        "application/rss+xml": ("rss",),
        "application/atom+xml": ("atom",),
        "application/wasm": ("wasm",),
        "application/pdf": ("pdf",),
        "application/zip": ("zip",),
        "font/woff2": ("woff2",),
        "font/woff": ("woff",),
        "font/ttf": ("ttf",),
        "font/otf": ("otf",),
        "image/svg+xml": ("svg",),
        "image/png": ("png",),
        "image/jpeg": ("jpg", "jpeg"),
        "image/gif": ("gif",),
        "image/webp": ("webp",),
        "image/avif": ("avif",),
        "image/x-icon": ("ico",),
        "audio/mpeg": ("mp3",),
        "audio/mp4": ("m4a",),
        "audio/ogg": ("ogg", "oga", "opus"),
        "audio/wav": ("wav",),
        "video/mp4": ("mp4", "m4v"),
        "video/webm": ("webm",),
    }
)
"""Of files from disk, by the end of the name; the same from every proxy. Any other is application/octet-stream, which
with nosniff is never a page, a style or a script."""

UPLOAD_TYPES = {
    type: ends for type, ends in TYPES.items() if type.startswith(("image/", "audio/", "video/", "text/plain"))
}
"""What a stranger's upload may be shown as. The rest, pages and scripts among it, is saved."""

UPLOAD_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content-Security-Policy of an upload, which may be an SVG with a script: as GitHub serves files of its users."""

CODINGS = {coding: rf"(^|,)\s*{coding}\s*(;\s*q=(1|0[.]0*[1-9])[0-9.]*\s*)?(,|$)" for coding in ("br", "gzip")}
"""Of files that were compressed beforehand, the best first, and an Accept-Encoding that takes it. Cloudflare asks for
these two. https://developers.cloudflare.com/fundamentals/reference/http-headers/#accept-encoding"""

PUBLISHED = tuple(
    f"{release}/public/{age}/{coding}"
    for release in ("current", "previous")
    for age in ("immutable", "static")
    for coding in ("CODING", "plain")
)
"""Where a file may be, below /srv/app; CODING is the best that the client takes."""

MAX_AGE = {"static": 60, "immutable": 31_536_000, "uploads": 604_800}
"""Seconds. A file that keeps its name is asked for again after a minute, with its ETag."""

# A file's name, and a folder's: none that begins with a dot. As it can be written in the files of all three proxies.
_SEGMENT = r"[^./\x00-\x1f\x25\x3f\x5c\x7f][^/\x00-\x1f\x25\x3f\x5c\x7f]*"

_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_FOLDER = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, kw_only=True)
class ProxyOptions:
    """Limits of the proxy; times in seconds.

    Raises ValueError for a path that would need quoting, for a grace period that the unit would cut off, and for a
    protocol that the proxy does not speak.
    """

    kind: Kind = "caddy"
    max_body: int = 100_000_000
    """Bytes of a request's body. The default is what Cloudflare itself lets through on its free and pro plans."""
    header_timeout: int = 10
    body_timeout: int = 120
    response_timeout: int = 120
    """How long the app may take to begin its answer; Cloudflare gives up (524) after 120 s."""
    answer_timeout: int = 3600
    """How long the visitor may take to read an answer where only the whole can be bounded (Caddy). Elsewhere it is
    `body_timeout`, between two writes."""
    idle_timeout: int = 930
    buffer_uploads: bool = False
    """Whether the app gets a request only once its body is whole; else as the body comes."""
    restart_wait: int = 10
    """How long a request waits for an app that is being restarted before it gets a 502; Caddy alone can wait."""
    grace_period: int = 30
    """How long a stopping or reloading proxy waits for requests under way; less than STOP_TIMEOUT."""
    hsts: int = 31_536_000
    """max-age of Strict-Transport-Security, where the app does not set the header itself."""
    uwsgi: bool = False
    """Whether a release that speaks uWSGI's own protocol is asked in it."""
    health_path: str | None = None
    """Kept out of the access log."""
    static: tuple[str, ...] = ()
    """Paths below which the release's published files are served, and the one's before; or whole paths of files."""
    uploads: tuple[str, ...] = ()
    """Paths below which the folder of the same name in /srv/app/shared is served."""

    def __post_init__(self) -> None:
        if self.health_path is not None and not _PATH.fullmatch(self.health_path):
            raise ValueError(f"health path {self.health_path!r}: letters, digits and . _ ~ / - after a leading /")
        if self.uwsgi and not PROGRAMS[self.kind].uwsgi:
            raise ValueError(f"{self.kind} does not speak uWSGI's own protocol")
        for path in (*self.static, *self.uploads):
            if not _FOLDER.fullmatch(path):
                raise ValueError(f"path {path!r}: letters, digits and . _ - after each /")
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
        "static": below(proxy.static),
        "uploads": below(proxy.uploads),
        "published": PUBLISHED,
        "codings": CODINGS,
        "age": MAX_AGE,
        "upload_policy": UPLOAD_POLICY,
        "types": TYPES,
        "upload_types": UPLOAD_TYPES,
    }
    names = (*PROGRAMS[proxy.kind].files, "edge.nft")
    return {name: render(f"etc/origin/current/{name}.j2", **values) for name in names}


def below(paths: Sequence[str]) -> str:
    """A regular expression, in what RE2 and PCRE have in common, for the paths and for files below them; "" for none.

    Whatever else is asked for, the app is asked: dotfiles, empty segments and ways up are never looked for on disk.
    """
    names = "|".join(path.removeprefix("/").replace(".", "[.]") for path in paths)
    return f"^/({names})(/{_SEGMENT})*$" if paths else ""
