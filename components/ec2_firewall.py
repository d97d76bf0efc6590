"""AWS security group around the origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Opening
from components.sdk import SecurityGroup, SecurityGroupEgressRule, SecurityGroupIngressRule


@dataclass(frozen=True, kw_only=True)
class Ec2FirewallArgs:
    """The openings, and the network (plain id) that the group belongs to."""

    openings: Sequence[Opening]
    vpc_id: str


class Ec2Firewall(pulumi.ComponentResource):
    """A security group with one rule for each range.

    AWS allows 60 inbound rules for each family in one group; Cloudflare's 15 + 7 ranges on one port leave room.
    https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups
    """

    def __init__(self, name: str, args: Ec2FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:ec2_firewall:Ec2Firewall", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        group = SecurityGroup(
            name,
            description="Origin: Cloudflare on 443, the operator on 22, nothing else",
            vpc_id=args.vpc_id,
            opts=inside,
        )
        for opening in args.openings:
            for cidr in (*opening.ipv4, *opening.ipv6):
                six = ":" in cidr
                SecurityGroupIngressRule(
                    f"{name}-{opening.port}-{cidr}",
                    security_group_id=group.id,
                    description=opening.why,
                    ip_protocol="tcp",
                    from_port=opening.port,
                    to_port=opening.port,
                    cidr_ipv4=None if six else cidr,
                    cidr_ipv6=cidr if six else None,
                    opts=inside,
                )
        for family, everywhere in (("ipv4", "0.0.0.0/0"), ("ipv6", "::/0")):
            SecurityGroupEgressRule(
                f"{name}-out-{family}",
                security_group_id=group.id,
                description="Packages, databases, APIs",
                ip_protocol="-1",
                cidr_ipv4=everywhere if family == "ipv4" else None,
                cidr_ipv6=everywhere if family == "ipv6" else None,
                opts=inside,
            )
        self.group_id: pulumi.Output[str] = group.id
        self.register_outputs({"group_id": self.group_id})
