"""The reverse proxy on the machine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.fields import Size
from settings.section import Seconds, Section


class Timeouts(Section):
    """The proxy's patience."""

    header: int = Seconds(1, 300, 10, "For a request's headers.")
    body: int = Seconds(1, 3600, 60, "For a request's body.")
    # Cloudflare gives up after 120 s without a byte (524) and reuses an idle connection for 900 s: who closes it
    # earlier loses requests. https://developers.cloudflare.com/fundamentals/reference/connection-limits/
    response: int = Seconds(1, 3600, 120, "For the app's answer to begin.")
    idle: int = Seconds(1, 3600, 910, "For the next request on an open connection.")


class Proxy(Section):
    """The reverse proxy on the machine."""

    kind: Literal["caddy", "nginx", "apache"] = Field(
        default="caddy", description="The proxy. The host is made for it: another one replaces the host."
    )
    max_body: Size = Field(
        default=10_000_000,
        json_schema_extra={"default": "10MB"},
        description="The largest request body (upload).",
    )
    buffer_uploads: bool = Field(
        default=False,
        description="Whether the app gets a request only once its body is whole, so that slow uploads hold no worker, "
        "or as it comes. Caddy keeps bodies in memory (up to max_body each), nginx and Apache in files.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="Timeouts towards Cloudflare and the app.")
