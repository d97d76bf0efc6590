"""What of the proxy and the host's door depends on the site: the files that `origin configure` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioning.ranges import CloudflareRanges
from provisioning.render import render


@dataclass(frozen=True, kw_only=True)
class ProxyOptions:
    """Limits of the proxy; times in seconds."""

    max_body: int = 100_000_000
    """Bytes of a request's body. The default is what Cloudflare itself lets through on its free and pro plans."""
    header_timeout: int = 10
    body_timeout: int = 120
    response_timeout: int = 120
    """How long the app may take to begin its answer; Cloudflare gives up (524) after 120 s."""
    idle_timeout: int = 930
    restart_wait: int = 10
    """How long a request waits for an app that is being restarted before it gets a 502."""
    grace_period: int = 30
    """How long a stopping or reloading proxy waits for requests under way; the unit allows 45."""
    hsts: int = 31_536_000
    """max-age of Strict-Transport-Security, where the app does not set the header itself."""
    health_path: str | None = None
    """Kept out of the access log."""


def configuration(
    *, hostname: str, redirects: Sequence[str], ranges: CloudflareRanges, proxy: ProxyOptions
) -> dict[str, str]:
    """The site's files by name: "Caddyfile" and "edge.nft".

    `redirects` are hostnames that answer 301 to https://`hostname` with the same path and query.
    """
    return {
        "Caddyfile": render(
            "etc/origin/current/Caddyfile.j2", hostname=hostname, redirects=redirects, ranges=ranges, proxy=proxy
        ),
        "edge.nft": render("etc/origin/current/edge.nft.j2", ranges=ranges),
    }
