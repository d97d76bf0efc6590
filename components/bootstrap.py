"""Waiting for a host's first boot, and remembering who it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
from pulumi_command import remote

from components.host import Host
from provisioning import readiness, tools

USER = "deploy"


@dataclass(frozen=True, kw_only=True)
class BootstrapArgs:
    """The host, the private key (OpenSSH or PEM) that may log in to it, and what its first boot should have been.

    `expected` is the bootstrap's hash, or None when the host's own is kept whatever it is.
    """

    host: Host
    private_key: pulumi.Input[str] = field(repr=False)
    expected: str | None


class Bootstrap(pulumi.ComponentResource):
    """Ready when cloud-init and the bootstrap are done; fails with the end of their log. Then brings the host's tools.

    `connection` is pinned to the SSH host key seen at this first contact: pulumi-command checks none unless told
    (https://github.com/pulumi/pulumi-command/issues/755).
    """

    def __init__(self, name: str, args: BootstrapArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:bootstrap:Bootstrap", name, {}, opts)
        ready = remote.Command(
            f"{name}-ready",
            connection=remote.ConnectionArgs(
                host=args.host.ipv4,
                user=USER,
                private_key=args.private_key,
                # A machine is "active" well before sshd listens; each dial is bounded, and so is their number.
                dial_error_limit=60,
                per_dial_timeout=5,
            ),
            create=readiness.script(expected=args.expected),
            triggers=[args.host.host_id],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.host.resource]),
        )
        self.host_key: pulumi.Output[str] = ready.stdout.apply(str.strip)
        self.connection = remote.ConnectionArgs(
            host=args.host.ipv4,
            user=USER,
            private_key=args.private_key,
            host_key=self.host_key,
            dial_error_limit=5,
            per_dial_timeout=10,
        )
        self.tools: pulumi.Resource = remote.Command(
            f"{name}-tools",
            connection=self.connection,
            create=tools.INSTALL,
            stdin=tools.archive(),
            triggers=[args.host.host_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"host_key": self.host_key})
