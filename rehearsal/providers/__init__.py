"""Stand-in providers: one handler for each resource type and invoke that the program uses."""

from __future__ import annotations

from rehearsal.cloud.world import World
from rehearsal.providers.base import Function, Resource
from rehearsal.providers.cloudflare.zones import seed_zone

__all__ = ["functions", "resources", "seed_zone"]


def resources(world: World) -> dict[str, Resource]:
    """The handlers by their type token."""
    from rehearsal.providers import command, local_command, random_password, tls
    from rehearsal.providers.aws import groups, instance
    from rehearsal.providers.aws import keys as aws_keys
    from rehearsal.providers.cloudflare import origin_ca, origin_pulls, records, settings
    from rehearsal.providers.digitalocean import droplet, firewall, keys, tags

    kinds: list[type[Resource]] = [
        keys.SshKey,
        tags.Tag,
        firewall.Firewall,
        droplet.Droplet,
        records.DnsRecord,
        settings.ZoneSetting,
        origin_ca.OriginCaCertificate,
        origin_pulls.AuthenticatedOriginPullsCertificate,
        origin_pulls.AuthenticatedOriginPullsSettings,
        aws_keys.KeyPair,
        groups.SecurityGroup,
        groups.SecurityGroupIngressRule,
        groups.SecurityGroupEgressRule,
        instance.Instance,
        command.Command,
        command.CopyToRemote,
        local_command.LocalCommand,
        tls.PrivateKey,
        tls.CertRequest,
        tls.SelfSignedCert,
        tls.LocallySignedCert,
        random_password.RandomPassword,
    ]
    return {kind.token: kind(world) for kind in kinds}


def functions(world: World) -> dict[str, Function]:
    """The invokes by their token."""
    from rehearsal.providers.aws import images, network
    from rehearsal.providers.cloudflare import zones

    kinds: list[type[Function]] = [
        zones.GetIpRanges,
        zones.GetZone,
        images.GetParameter,
        network.GetVpc,
        network.GetSubnets,
        network.GetSubnet,
    ]
    return {kind.token: kind(world) for kind in kinds}
