"""Cloudflare in front: the proxied records and the zone's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import local

from components.sdk import DnsRecord, ZoneSetting

_AUTOMATIC_TTL = 1
# Seconds until all of Cloudflare's machines use a proxied record's new address. It gives no bound: "within seconds".
_MOVING_OVER = 10
# Only another host is waited for: neither the first one nor another time to wait.
_MOVED_OVER = 'echo "$HOST"; [ "$PULUMI_COMMAND_STDOUT" = "$HOST" ] || sleep "$SECONDS_TO_DRAIN"'


def marker() -> str:
    """The comment of this stack's records, by which another stack's, or nobody's, are told from them."""
    return f"{pulumi.get_project()}/{pulumi.get_stack()}"


def record_name(edge: str, hostname: str, kind: str) -> str:
    """The name in the program of an Edge's record of that kind: "A" or "AAAA"."""
    return f"{edge}-{hostname}-{kind.lower()}"


def zone_settings(*, minimum_tls: str, hotlink_protection: bool | None = None) -> dict[str, str]:
    """What the zone's settings must be, in the order of setting them. Without hotlink_protection, it is nobody's."""
    settings = {
        # Cloudflare's automatic mode would otherwise undo `ssl`.
        # https://developers.cloudflare.com/ssl/origin-configuration/ssl-modes/
        "ssl_automatic_mode": "custom",
        "ssl": "strict",
        "always_use_https": "on",
        "min_tls_version": minimum_tls,
    }
    if hotlink_protection is not None:
        settings["hotlink_protection"] = "on" if hotlink_protection else "off"
    return settings


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """The zone (its id), the names that visitors use, and the origin's addresses."""

    zone_id: str
    hostnames: Sequence[str]
    ipv4: pulumi.Input[str]
    ipv6: pulumi.Input[str] | None
    host_id: pulumi.Input[str]
    drain: int
    """Seconds that a host has to finish its requests once another has taken its place."""
    zone_settings: Mapping[str, str]
    """zone_settings() in one stack of a zone, {} in its others: the settings hold for the whole zone."""


class Edge(pulumi.ComponentResource):
    """Records that go live only after what the caller depends on; Full (strict) before the first record.

    The provider leaves zone settings as they are when they are destroyed: `before` remembers what they were.

    When the host is another one, the records are switched over only once it is proven, and the run then waits for the
    old one to finish its requests: an engine deletes what was replaced when all else is done. The wait is here, and no
    look at the old host's connections, because nothing may depend on that host: it may be dead, and so be replaced.
    """

    def __init__(
        self,
        name: str,
        args: EdgeArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        before: pulumi.Resource,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__("flask-origin:edge:Edge", name, {}, opts)
        settings: list[pulumi.Resource] = []
        for setting, value in args.zone_settings.items():
            settings.append(
                ZoneSetting(
                    f"{name}-{setting.replace('_', '-')}",
                    zone_id=args.zone_id,
                    setting_id=setting,
                    value=value,
                    # The mode is switched from automatic to custom before it is chosen.
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[before, *settings[:1]]),
                )
            )
        addresses = {"A": args.ipv4} if args.ipv6 is None else {"A": args.ipv4, "AAAA": args.ipv6}
        records = [
            DnsRecord(
                record_name(name, hostname, kind),
                zone_id=args.zone_id,
                name=hostname,
                type=kind,
                content=address,
                proxied=True,
                ttl=_AUTOMATIC_TTL,
                comment=marker(),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[*settings, *after],
                    # `pulumi import` can't name a parent that is still to be made.
                    aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)],
                ),
            )
            for hostname in args.hostnames
            for kind, address in addresses.items()
        ]
        local.Command(
            f"{name}-moved-over",
            create='echo "$HOST"',
            update=_MOVED_OVER,
            environment={"HOST": args.host_id, "SECONDS_TO_DRAIN": str(_MOVING_OVER + args.drain)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=records),
        )
        self.url = f"https://{args.hostnames[0]}/"
        self.register_outputs({"url": self.url})
