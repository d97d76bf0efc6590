"""What the account's zones ask of edge and DNS: the store's objects, checked, as one value per hostname.

Collections, written by the Cloudflare provider's handlers:
  cloudflare/zones                     {id: {name, account}}
  cloudflare/records                   {id: {zone_id, name, type, content, proxied, ttl}}; name is the full name
  cloudflare/settings                  {"<zone id>.<setting id>": {zone_id, setting_id, value}}; absent: its default
  cloudflare/origin_pulls              {zone id: {enabled}}
  cloudflare/origin_pull_certificates  {id: {zone_id, certificate, private_key, status, uploaded_on}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.cloud.world import World

ADDRESS_TYPES = ("A", "AAAA")
TLS_VERSIONS = {"1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3"}
LONGEST_CHAIN = 8  # of CNAMEs


class EdgeRefused(ValueError):
    """The store holds something that this edge does not model; the message says what."""


@dataclass(frozen=True, kw_only=True)
class ZoneSetting:
    """A zone setting: its value in a new zone, the values it may have, and whether this edge acts on it."""

    default: str
    choices: tuple[str, ...]
    modelled: bool = True


SETTINGS: Mapping[str, ZoneSetting] = {
    # A new zone starts in automatic mode, which the documentation gives no fixed value; "full" is the usual outcome.
    "ssl": ZoneSetting(default="full", choices=("off", "flexible", "full", "strict")),
    "always_use_https": ZoneSetting(default="off", choices=("on", "off")),
    "min_tls_version": ZoneSetting(default="1.0", choices=tuple(TLS_VERSIONS)),
    "hotlink_protection": ZoneSetting(default="off", choices=("on", "off")),
    "tls_1_3": ZoneSetting(default="on", choices=("on", "off", "zrt")),
    "http2": ZoneSetting(default="on", choices=("on", "off")),
    "automatic_https_rewrites": ZoneSetting(default="on", choices=("on", "off"), modelled=False),
    "ssl_automatic_mode": ZoneSetting(default="auto", choices=("auto", "custom"), modelled=False),
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """A DNS record of the account."""

    zone_id: str
    name: str
    type: str
    content: str
    proxied: bool


@dataclass(frozen=True, kw_only=True)
class Zone:
    """A zone and what its settings come to.

    tls: the protocols offered to visitors, as nginx names them. client: the PEM pair shown to the origin, "shared" for
    the one that all of Cloudflare's customers have in common, or None when origin pulls are off.
    """

    id: str
    name: str
    mode: str
    always_https: bool
    tls: tuple[str, ...]
    http2: bool
    hotlinks_refused: bool
    client: tuple[str, str] | str | None


@dataclass(frozen=True, kw_only=True)
class Site:
    """A proxied hostname and its origin's addresses; none when the record points to a name that does not resolve."""

    hostname: str
    zone: Zone
    origins: tuple[str, ...]


def setting(world: World, zone_id: str, id: str) -> str:
    """A zone setting's value, its default when nobody has set it. Raises KeyError for an unknown setting."""
    stored = world.store.get("cloudflare/settings", f"{zone_id}.{id}")
    return str(stored["value"]) if stored else SETTINGS[id].default


def records(world: World) -> list[Record]:
    """Every record of every zone, in the order of their ids."""
    return [
        Record(
            zone_id=item["zone_id"],
            name=item["name"].rstrip(".").lower(),
            type=item["type"],
            content=item.get("content") or "",
            proxied=bool(item.get("proxied")),
        )
        for item in world.store.items("cloudflare/records").values()
    ]


def zones(world: World) -> dict[str, Zone]:
    """Every zone by id. Raises EdgeRefused."""
    return {id: _zone(world, id, item) for id, item in world.store.items("cloudflare/zones").items()}


def sites(world: World) -> list[Site]:
    """The proxied hostnames, sorted. Raises EdgeRefused."""
    known = zones(world)
    every = records(world)
    proxied = {record.name: record.zone_id for record in every if record.proxied}
    return [
        Site(hostname=name, zone=known[zone_id], origins=addresses(every, name))
        for name, zone_id in sorted(proxied.items())
        if zone_id in known
    ]


def addresses(every: list[Record], name: str, *, depth: int = 0) -> tuple[str, ...]:
    """The addresses behind a name, CNAMEs followed; empty when there are none."""
    own = [record for record in every if record.name == name]
    found = [record.content for record in own if record.type in ADDRESS_TYPES]
    for record in own:
        if record.type == "CNAME" and depth < LONGEST_CHAIN:
            found += addresses(every, record.content.rstrip(".").lower(), depth=depth + 1)
    return tuple(dict.fromkeys(found))


def _zone(world: World, id: str, item: Mapping[str, Any]) -> Zone:
    values = {name: setting(world, id, name) for name in SETTINGS}
    for name, value in values.items():
        if value not in SETTINGS[name].choices:
            raise EdgeRefused(f"{item['name']}: {name} is {value!r}, not one of {', '.join(SETTINGS[name].choices)}")
    versions = list(TLS_VERSIONS)
    offered = versions[versions.index(values["min_tls_version"]) :]
    if values["tls_1_3"] == "off":
        offered = [version for version in offered if version != "1.3"]
    if not offered:
        raise EdgeRefused(f"{item['name']}: min_tls_version is 1.3 and tls_1_3 is off: no version is left")
    return Zone(
        id=id,
        name=item["name"],
        mode=values["ssl"],
        # Mode "off" sends https to http, so that the redirect the other way can't be in force.
        always_https=values["always_use_https"] == "on" and values["ssl"] != "off",
        tls=tuple(TLS_VERSIONS[version] for version in offered),
        http2=values["http2"] == "on",
        hotlinks_refused=values["hotlink_protection"] == "on",
        client=_client(world, id),
    )


def _client(world: World, zone_id: str) -> tuple[str, str] | str | None:
    pulls = world.store.get("cloudflare/origin_pulls", zone_id)
    if not pulls or not pulls["enabled"]:
        return None
    own = [
        item
        for item in world.store.items("cloudflare/origin_pull_certificates").values()
        if item["zone_id"] == zone_id and item.get("status", "active") == "active"
    ]
    if not own:
        return "shared"
    newest = max(own, key=lambda item: item.get("uploaded_on") or "")
    return newest["certificate"], newest["private_key"]
