"""The WSGI servers and their options, which have the servers' own names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from settings.section import Seconds, Section


class Waitress(Section):
    """The Waitress server: one process, several threads. The names are Waitress's own."""

    kind: Literal["waitress"] = Field(default="waitress", description="The WSGI server.")
    threads: int = Field(default=8, ge=1, le=256, description="Requests that are worked on at once.")
    connection_limit: int = Field(default=1000, ge=1, le=65_535, description="Connections that are held at once.")
    channel_timeout: int = Seconds(1, 3600, 120, "How long a silent connection is kept.")
    max_request_header_size: int = Field(
        # Cloudflare passes at most 128 KB of headers:
        # https://developers.cloudflare.com/fundamentals/reference/connection-limits/
        default=131_072,
        ge=1024,
        le=1_048_576,
        description="All headers of one request together, in bytes.",
    )
