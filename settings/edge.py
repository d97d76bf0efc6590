"""Cloudflare's side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo
from pydantic import field_validator as validates

from settings.fields import Folder, Refused
from settings.section import Section


class Edge(Section):
    """Cloudflare's side."""

    manage_zone_settings: bool = Field(
        default=True,
        description="Whether this stack owns the zone's settings (TLS, hotlinks). They hold for the whole zone: let "
        "one of its stacks own them, and write false in the others.",
    )
    at_destroy: Literal["keep", "restore"] = Field(
        default="keep",
        description="What destroy does to those settings of the zone: leaves them, or puts back what they were when "
        "this stack first owned them (but for those that somebody changed since). An up with another word here changes "
        "nothing else. Restoring takes CLOUDFLARE_API_TOKEN in the environment.",
    )
    client_ca: Folder | None = Field(
        default=None,
        validate_default=True,
        description="A PEM file with the CA of the client certificate that Cloudflare shows to origins of this zone: "
        "what the stack that owns the zone's settings exports as `client_ca`. The others need it, for a zone has one "
        "client certificate. Without it this stack makes one and gives it to the zone.",
    )
    minimum_tls: Literal["1.2", "1.3"] = Field(
        default="1.2", description="The oldest TLS that visitors may use. In quotes."
    )
    hotlink_protection: bool | None = Field(
        default=None,
        description="Whether Cloudflare refuses images (gif, ico, jpg, png) to pages of other sites. Not written: as "
        "it is in the zone.",
    )
    certificate_days: Literal[7, 30, 90, 365, 730, 1095, 5475] = Field(
        default=5475, description="How long the origin certificate lasts. It is renewed by `up` only."
    )
    purge_after_release: bool = Field(
        default=False,
        description="Whether Cloudflare's cache of `site.hostname` is emptied once `up` has made a release. Purging "
        "takes CLOUDFLARE_API_TOKEN in the environment, with the right to.",
    )

    @validates("client_ca")
    @classmethod
    def _given_to_who_does_not_own(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("manage_zone_settings") is False:
            raise Refused(
                "is missing: the stack that owns the zone's settings owns its client certificate too",
                do="run `pulumi stack output client_ca` there and write the file's path",
            )
        return value

    @validates("hotlink_protection")
    @classmethod
    def _set_by_who_owns(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        if value is not None and info.data.get("manage_zone_settings") is False:
            raise Refused(
                f"is {str(value).lower()}, but this stack does not own the zone's settings",
                do="leave it out here, and write it in the stack that does",
            )
        return value

    @validates("at_destroy")
    @classmethod
    def _restored_by_who_owns(cls, value: str, info: ValidationInfo) -> str:
        if value == "restore" and info.data.get("manage_zone_settings") is False:
            raise Refused(
                "is restore, but this stack does not own the zone's settings",
                do="write keep, or manage_zone_settings: true",
            )
        return value
