"""Proof, before any visitor is sent there, that the origin answers Cloudflare and nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
from pulumi_command import remote


@dataclass(frozen=True, kw_only=True)
class VerifiedOriginArgs:
    """What to expect (`leaf`, PEM) and the client pair (PEM) that Cloudflare will show, None when it isn't ours."""

    connection: remote.ConnectionArgs
    host_id: pulumi.Input[str]
    hostname: str
    leaf: pulumi.Input[str]
    client_certificate: pulumi.Input[str] | None
    client_key: pulumi.Input[str] | None = field(repr=False)
    configuration: pulumi.Input[str]
    """Changes when the origin must be proven again."""


class VerifiedOrigin(pulumi.ComponentResource):
    """A handshake on the host itself: refused without the client certificate, the expected leaf with it."""

    def __init__(self, name: str, args: VerifiedOriginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:verified_origin:VerifiedOrigin", name, {}, opts)
        document = pulumi.Output.json_dumps(
            {
                "hostname": args.hostname,
                "leaf": args.leaf,
                "certificate": args.client_certificate,
                "key": args.client_key,
            }
        )
        self.proof: pulumi.Resource = remote.Command(
            f"{name}-handshake",
            connection=args.connection,
            create="sudo /usr/local/sbin/origin verify",
            stdin=pulumi.Output.secret(document),
            triggers=[args.host_id, args.configuration],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
