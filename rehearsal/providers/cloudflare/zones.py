"""The account's zones, and the invokes getZone and getIpRanges."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

from rehearsal.cloud import network
from rehearsal.cloud.world import World
from rehearsal.providers.account import authenticate
from rehearsal.providers.base import ApiError, Function, Props
from rehearsal.providers.cloudflare import api
from rehearsal.providers.shapes import now

ACCOUNT: Final = {"id": hashlib.md5(b"rehearsal").hexdigest(), "name": "Rehearsal"}
_DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def seed_zone(world: World, name: str) -> str:
    """Puts a zone into the account, as its owner did before any program ran; the same name is the same zone.

    Gives its id. Raises ValueError when it is no domain name.
    """
    name = name.rstrip(".").lower()
    if not _DOMAIN.fullmatch(name):
        raise ValueError(f"{name!r} is no domain name")
    id = hashlib.md5(name.encode()).hexdigest()
    if world.store.get(api.ZONES, id) is None:
        world.store.put(api.ZONES, id, {"name": name, "account": ACCOUNT["id"], "created_on": now()})
    return id


class GetZone(Function):
    """By `zoneId`, or by `filter.name`.

    Source: terraform-provider-cloudflare v5, internal/services/zone/data_source.go.
    """

    token = "cloudflare:index/getZone:getZone"

    def invoke(self, args: Props) -> Props:
        authenticate("cloudflare")
        given = {name: value for name, value in args.items() if value is not None}
        if sorted(given) not in (["filter"], ["zoneId"]):
            raise ApiError(f"Exactly one of these attributes must be configured: [zone_id,filter], not {[*given]}")
        zones = self.world.store.items(api.ZONES)
        if "zoneId" in given:
            api.zone_name(self.world, given["zoneId"], "GET", "")
            return _answer(given["zoneId"], zones[given["zoneId"]], given)
        wanted = {name: value for name, value in given["filter"].items() if value is not None}
        if unknown := sorted(wanted.keys() - {"name", "status", "match"}):
            raise ApiError(f"filter.{unknown[0]} is not rehearsed: find the zone by filter.name")
        found = [
            id
            for id, zone in zones.items()
            if wanted.get("name", zone["name"]) == zone["name"] and wanted.get("status", "active") == "active"
        ]
        if len(found) != 1:
            known = ", ".join(zone["name"] for zone in zones.values()) or "none"
            raise ApiError(
                f"failed to find exactly one result: {len(found)} found for {wanted.get('name', 'every zone')}; "
                f"zones in the account: {known}"
            )
        return _answer(found[0], zones[found[0]], given)


class GetIpRanges(Function):
    """The stand-in edge's ranges, in as many blocks of each family as Cloudflare's: 15 and 7."""

    token = "cloudflare:index/getIpRanges:getIpRanges"

    def invoke(self, args: Props) -> Props:
        if networks := args.get("networks"):
            raise ApiError(f"networks {networks!r} is not rehearsed: leave it out")
        ranges = {"ipv4Cidrs": list(network.EDGE_RANGES_V4), "ipv6Cidrs": list(network.EDGE_RANGES_V6)}
        etag = hashlib.md5(json.dumps(ranges).encode()).hexdigest()
        return {**ranges, "etag": etag, "jdcloudCidrs": [], "id": "ip_ranges"}


def _answer(id: str, zone: Props, args: Props) -> Props:
    servers = ["ada.ns.rehearsal.example", "bob.ns.rehearsal.example"]
    return {
        **args,
        "id": id,
        "zoneId": id,
        "name": zone["name"],
        "account": ACCOUNT,
        "status": "active",
        "type": "full",
        "paused": False,
        "developmentMode": 0,
        "nameServers": servers,
        "originalNameServers": [],
        "vanityNameServers": [],
        "permissions": [],
        "createdOn": zone["created_on"],
        "modifiedOn": zone["created_on"],
        "activatedOn": zone["created_on"],
    }
