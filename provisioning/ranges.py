"""Cloudflare's address ranges: who may knock at the origin. An odd list is an error, never an open door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

MINIMUM = {4: 5, 6: 3}
"""Cloudflare has had 15 and 7 ranges for years; a list shorter than this is a broken answer."""

WIDEST = {4: 8, 6: 24}
"""Shortest prefix believed. Cloudflare's widest are 104.16.0.0/13 and 2a06:98c0::/29."""


class RangesRefused(ValueError):
    """The list of ranges is not one to open a firewall for."""


@dataclass(frozen=True, kw_only=True)
class CloudflareRanges:
    """Networks in CIDR form, sorted by address, disjoint."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """IPv4 first."""
        return self.ipv4 + self.ipv6


def checked(ipv4: Sequence[str], ipv6: Sequence[str]) -> CloudflareRanges:
    """The two lists as CloudflareRanges.

    Raises RangesRefused for an entry that is not a network of its family in canonical form, is wider than
    WIDEST, overlaps another or can never be a visitor's edge (loopback, link-local, multicast, unspecified),
    and for a list with fewer than MINIMUM entries.
    """
    return CloudflareRanges(ipv4=_family(ipv4, 4), ipv6=_family(ipv6, 6))


def _family(texts: Sequence[str], version: int) -> tuple[str, ...]:
    networks = sorted({_network(text, version) for text in texts}, key=lambda network: network.network_address)
    if len(networks) < MINIMUM[version]:
        raise RangesRefused(
            f"Cloudflare's IPv{version} ranges: {len(networks)} given, at least {MINIMUM[version]} expected; "
            "the origin would be closed to most of Cloudflare"
        )
    for lower, upper in pairwise(networks):
        if int(lower.broadcast_address) >= int(upper.network_address):
            raise RangesRefused(f"Cloudflare's IPv{version} ranges: {lower} and {upper} overlap")
    return tuple(str(network) for network in networks)


def _network(text: str, version: int) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(str(text))  # it would take a number, too
    except ValueError:
        like = {4: "173.245.48.0/20", 6: "2606:4700::/32"}[version]
        raise RangesRefused(f"Cloudflare's IPv{version} ranges: {text!r} is not a network like {like}") from None
    if network.version != version:
        raise RangesRefused(f"Cloudflare's IPv{version} ranges: {text!r} is IPv{network.version}")
    if network.prefixlen < WIDEST[version]:
        raise RangesRefused(
            f"Cloudflare's IPv{version} ranges: {text} is wider than /{WIDEST[version]}; "
            "that would open the origin to strangers"
        )
    if network.is_loopback or network.is_link_local or network.is_multicast or network.is_unspecified:
        raise RangesRefused(f"Cloudflare's IPv{version} ranges: {text} is no public network")
    return network


FALLBACK = checked(
    ipv4=(
        "173.245.48.0/20",
        "103.21.244.0/22",
        "103.22.200.0/22",
        "103.31.4.0/22",
        "141.101.64.0/18",
        "108.162.192.0/18",
        "190.93.240.0/20",
        "188.114.96.0/20",
        "197.234.240.0/22",
        "198.41.128.0/17",
        "162.158.0.0/15",
        "104.16.0.0/13",
        "104.24.0.0/14",
        "172.64.0.0/13",
        "131.0.72.0/22",
    ),
    ipv6=(
        "2400:cb00::/32",
        "2606:4700::/32",
        "2803:f800::/32",
        "2405:b500::/32",
        "2405:8100::/32",
        "2a06:98c0::/29",
        "2c0f:f248::/32",
    ),
)
"""As published at https://www.cloudflare.com/ips/ (last changed 2023-09-28), for when the lookup does not answer."""
