"""The site's names."""

from __future__ import annotations

from pydantic import Field, ValidationInfo
from pydantic import field_validator as validates

from settings.fields import Hostname, Listed, Refused, shown
from settings.section import Section


class Site(Section):
    """The site and its place in DNS."""

    zone: Hostname = Field(description="The Cloudflare zone (domain) that holds the site's names.")
    hostname: Hostname = Field(description="The name that visitors use: the zone itself or a name below it.")
    redirects: Listed[Hostname] = Field(
        default=(), description="Further names in the zone that redirect to `hostname`, such as www."
    )

    @validates("hostname", "redirects")
    @classmethod
    def _in_zone(cls, value: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        zone = info.data.get("zone")
        for name in (value,) if isinstance(value, str) else value:
            if zone and name != zone and not name.endswith(f".{zone}"):
                raise Refused(
                    f'{shown(name)} is not in zone "{zone}"',
                    allowed=f"{zone} or a name that ends in .{zone}",
                    do=f"change site.{info.field_name} or site.zone",
                )
            if info.field_name == "redirects" and name == info.data.get("hostname"):
                raise Refused(f"{shown(name)} is the site's own hostname and would redirect to itself", do="remove it")
        return value
