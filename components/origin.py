"""Everything of the site that the host must hold before it may serve: proxy, certificate, client CA, ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_command import remote


@dataclass(frozen=True, kw_only=True)
class OriginArgs:
    """What `origin configure` is told, over SSH's standard input.

    `files` are the rendered, public ones by name ("Caddyfile", "edge.nft"); the three PEM texts join them there.
    """

    connection: remote.ConnectionArgs
    host_id: pulumi.Input[str]
    files: Mapping[str, str]
    authorized_keys: Sequence[str]
    certificate: pulumi.Input[str]
    private_key: pulumi.Input[str] = field(repr=False)
    client_ca: pulumi.Input[str]


class Origin(pulumi.ComponentResource):
    """One configured origin; a change is validated on the host, then switched to, or refused with the old one kept."""

    def __init__(self, name: str, args: OriginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:origin:Origin", name, {}, opts)
        document = pulumi.Output.json_dumps(
            {
                "files": {
                    **args.files,
                    "tls/certificate.pem": args.certificate,
                    "tls/key.pem": args.private_key,
                    "tls/client-ca.pem": args.client_ca,
                },
                "authorized_keys": list(args.authorized_keys),
            }
        )
        configured = remote.Command(
            f"{name}-configured",
            connection=args.connection,
            create="sudo /usr/local/sbin/origin configure",
            stdin=pulumi.Output.secret(document),
            triggers=[args.host_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.summary: pulumi.Output[str] = configured.stdout
        """One JSON line that changes with the configuration."""
        self.register_outputs({})
