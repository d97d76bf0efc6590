"""Stand-in providers: one handler for each resource type and invoke that the program uses.

A package's modules are loaded when it is asked for: each plugin of the official engine serves one package, and starts
with every command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rehearsal.cloud.world import World
from rehearsal.providers.base import Function, Resource
from rehearsal.providers.configuration import CONFIGURATION

_Kinds = tuple[list[type[Resource]], list[type[Function]]]


def resources(world: World, packages: Iterable[str] = CONFIGURATION) -> dict[str, Resource]:
    """The handlers by their type token."""
    return {kind.token: kind(world) for package in packages for kind in _PACKAGES[package]()[0]}


def functions(world: World, packages: Iterable[str] = CONFIGURATION) -> dict[str, Function]:
    """The invokes by their token."""
    return {kind.token: kind(world) for package in packages for kind in _PACKAGES[package]()[1]}


def _aws() -> _Kinds:
    from rehearsal.providers.aws import groups, images, instance, keys, network

    return [
        keys.KeyPair,
        groups.SecurityGroup,
        instance.Instance,
    ], [images.GetParameter, network.GetVpc, network.GetSubnets, network.GetSubnet]


def _cloudflare() -> _Kinds:
    from rehearsal.providers.cloudflare import origin_ca, origin_pulls, records, settings, zones

    return [
        records.DnsRecord,
        settings.ZoneSetting,
        origin_ca.OriginCaCertificate,
        origin_pulls.AuthenticatedOriginPullsCertificate,
        origin_pulls.AuthenticatedOriginPullsSettings,
    ], [zones.GetIpRanges, zones.GetZone, records.GetDnsRecords]


def _command() -> _Kinds:
    from rehearsal.providers import command, local_command

    return [command.Command, command.CopyToRemote, local_command.LocalCommand], []


def _digitalocean() -> _Kinds:
    from rehearsal.providers.digitalocean import droplet, firewall, keys, region, tags

    return [keys.SshKey, tags.Tag, firewall.Firewall, droplet.Droplet], [region.GetRegion]


def _random() -> _Kinds:
    from rehearsal.providers import random_password

    return [random_password.RandomPassword], []


def _tls() -> _Kinds:
    from rehearsal.providers import tls

    return [tls.PrivateKey, tls.CertRequest, tls.SelfSignedCert, tls.LocallySignedCert], []


_PACKAGES: dict[str, Callable[[], _Kinds]] = {
    "aws": _aws,
    "cloudflare": _cloudflare,
    "command": _command,
    "digitalocean": _digitalocean,
    "random": _random,
    "tls": _tls,
}
