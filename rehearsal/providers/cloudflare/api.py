"""How Cloudflare's API refuses, as terraform-provider-cloudflare shows it, and how a change reaches the edge."""

from __future__ import annotations

import json
import secrets
from typing import Final

from rehearsal.cloud import edge
from rehearsal.cloud.world import World, WorldFailed
from rehearsal.providers.base import ApiError

ZONES: Final = "cloudflare/zones"
_STATUS: Final = {400: "400 Bad Request", 403: "403 Forbidden", 404: "404 Not Found"}


def refused(method: str, path: str, code: int, message: str, status: int = 400) -> ApiError:
    body = {"result": None, "success": False, "errors": [{"code": code, "message": message}], "messages": []}
    return ApiError(
        f'failed to make http request: {method} "https://api.cloudflare.com/client/v4/{path}": {_STATUS[status]} '
        f"{json.dumps(body, separators=(',', ':'))}"
    )


def zone_name(world: World, zone_id: str, method: str, path: str) -> str:
    """The zone's name. Raises ApiError when it is not in the account."""
    zone = world.store.get(ZONES, zone_id)
    if zone is None:
        raise refused(method, f"zones/{zone_id}/{path}", 1001, f"Invalid zone identifier: {zone_id}", 403)
    return zone["name"]


def zone_of(world: World, hostname: str) -> str | None:
    """The id of the account's zone that a hostname belongs to: the longest that fits."""
    labels = hostname.rstrip(".").lower().split(".")
    by_name = {zone["name"]: id for id, zone in world.store.items(ZONES).items()}
    return next((by_name[name] for i in range(len(labels)) if (name := ".".join(labels[i:])) in by_name), None)


def publish(world: World) -> None:
    """Brings the edge and the DNS up to date. Raises ApiError for what the stand-in edge can't do."""
    try:
        edge.apply(world)
    except (ValueError, WorldFailed) as unable:
        raise ApiError(str(unable)) from unable


def identifier() -> str:
    """An id as Cloudflare makes them."""
    return secrets.token_hex(16)
