"""DigitalOcean's cloud firewall around the origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Opening
from components.sdk import Firewall, FirewallInboundRuleArgs, FirewallOutboundRuleArgs, Tag

_EVERYWHERE = ["0.0.0.0/0", "::/0"]


@dataclass(frozen=True, kw_only=True)
class DropletFirewallArgs:
    """The openings; whatever is not named stays shut."""

    openings: Sequence[Opening]


class DropletFirewall(pulumi.ComponentResource):
    """A firewall that holds every droplet carrying `tag`.

    By tag and not by droplet id, so that it exists first and a new droplet is behind it from its first packet.
    """

    def __init__(self, name: str, args: DropletFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:droplet_firewall:DropletFirewall", name, {}, opts)
        tag = Tag(f"{name}-tag", opts=pulumi.ResourceOptions(parent=self))
        Firewall(
            name,
            tags=[tag.name],
            inbound_rules=[
                FirewallInboundRuleArgs(
                    protocol="tcp",
                    port_range=str(opening.port),
                    source_addresses=[*opening.ipv4, *opening.ipv6],
                )
                for opening in args.openings
            ],
            outbound_rules=[
                FirewallOutboundRuleArgs(protocol="tcp", port_range="1-65535", destination_addresses=_EVERYWHERE),
                FirewallOutboundRuleArgs(protocol="udp", port_range="1-65535", destination_addresses=_EVERYWHERE),
                FirewallOutboundRuleArgs(protocol="icmp", destination_addresses=_EVERYWHERE),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.tag: pulumi.Output[str] = tag.name
        self.register_outputs({"tag": self.tag})
