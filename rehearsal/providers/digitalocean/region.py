"""digitalocean:index:getRegion."""

from __future__ import annotations

from rehearsal.providers.account import authenticate
from rehearsal.providers.base import ApiError, Function, Props
from rehearsal.providers.digitalocean import catalog


class GetRegion(Function):
    """Every region has every size here. Source: terraform-provider-digitalocean, digitalocean/region/."""

    token = "digitalocean:index/getRegion:getRegion"

    def invoke(self, args: Props) -> Props:
        authenticate("digitalocean")
        slug = args["slug"]
        if slug not in catalog.regions():
            raise ApiError(f"Region does not exist: {slug}")
        features = ["backups", "ipv6", "metadata"]
        return {
            "id": slug,
            "slug": slug,
            "name": slug,
            "available": True,
            "features": features,
            "sizes": [*catalog.sizes()],
        }
