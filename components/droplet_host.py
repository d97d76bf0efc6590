"""A DigitalOcean droplet behind its cloud firewall."""

from __future__ import annotations

import pulumi

from components.droplet_firewall import DropletFirewall, DropletFirewallArgs
from components.host import HostArgs
from components.lookup import LookupFailed, asking
from components.sdk import Droplet, SshKey, get_region

IMAGE = "debian-13-x64"


def require_sold(*, region: str, size: str) -> None:
    """Asks DigitalOcean, so that a preview finds what only its create would. Raises LookupFailed.

    That is for a token that is refused, a region that is none, or that has no such droplets (any more).
    """
    with asking("host.region", "correct it, such as fra1, or let DIGITALOCEAN_TOKEN read regions"):
        found = get_region(slug=region)
    if size not in found.sizes:
        alike = [slug for slug in found.sizes if slug.partition("-")[0] == size.partition("-")[0]]
        raise LookupFailed(
            f"host.size: {size} is not to be had in {region}; allowed: {', '.join(sorted(alike or found.sizes))}; "
            "do: correct it, or host.region"
        )


class DropletHost(pulumi.ComponentResource):
    """One droplet with IPv4 and IPv6. The firewall stands before it: there is no moment at which it is open."""

    def __init__(self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:droplet_host:DropletHost", name, {}, opts)
        firewall = DropletFirewall(
            f"{name}-firewall",
            DropletFirewallArgs(openings=args.openings),
            pulumi.ResourceOptions(parent=self),
        )
        key = SshKey(
            f"{name}-key",
            public_key=args.public_key,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # A changed key would replace the droplet; `origin configure` keeps authorized_keys instead.
        # https://docs.digitalocean.com/reference/terraform/reference/resources/droplet/#ssh_keys-1
        ignored = ["sshKeys"] if args.replace_on_bootstrap_change else ["sshKeys", "userData"]
        droplet = Droplet(
            name,
            image=IMAGE,
            region=args.region,
            size=args.size,
            ipv6=True,
            monitoring=False,
            ssh_keys=[key.id],
            tags=[firewall.tag],
            user_data=args.user_data,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[firewall], ignore_changes=ignored),
        )
        self.host_id: pulumi.Output[str] = droplet.id
        self.ipv4: pulumi.Output[str] = droplet.ipv4_address
        self.ipv6: pulumi.Output[str] | None = droplet.ipv6_address
        self.resource: pulumi.Resource = droplet
        self.register_outputs({"ipv4": self.ipv4, "ipv6": self.ipv6})
