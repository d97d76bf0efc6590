"""AWS security group around the origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Opening
from components.sdk import SecurityGroup, SecurityGroupEgressArgs, SecurityGroupIngressArgs


@dataclass(frozen=True, kw_only=True)
class Ec2FirewallArgs:
    """The openings, and the network (plain id) that the group belongs to."""

    openings: Sequence[Opening]
    vpc_id: str


class Ec2Firewall(pulumi.ComponentResource):
    """A security group that holds its rules itself: one that somebody adds by hand is seen, and taken away again.

    Rules that are resources of their own would hide it: https://github.com/hashicorp/terraform-provider-aws reads a
    group's rules back, but mends only what the group declares (ADR 71).

    AWS allows 60 inbound rules for each family in one group, and each range is one; Cloudflare's 15 + 7 on one port
    leave room. https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
    """

    def __init__(self, name: str, args: Ec2FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:ec2_firewall:Ec2Firewall", name, {}, opts)
        group = SecurityGroup(
            name,
            description="Origin: Cloudflare on 443, the operator on 22, nothing else",
            vpc_id=args.vpc_id,
            ingress=[
                SecurityGroupIngressArgs(
                    description=opening.why,
                    protocol="tcp",
                    from_port=opening.port,
                    to_port=opening.port,
                    cidr_blocks=list(opening.ipv4),
                    ipv6_cidr_blocks=list(opening.ipv6),
                )
                for opening in args.openings
            ],
            egress=[
                SecurityGroupEgressArgs(
                    description="Packages, databases, APIs",
                    protocol="-1",
                    from_port=0,
                    to_port=0,
                    cidr_blocks=["0.0.0.0/0"],
                    ipv6_cidr_blocks=["::/0"],
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group_id: pulumi.Output[str] = group.id
        self.register_outputs({"group_id": self.group_id})
