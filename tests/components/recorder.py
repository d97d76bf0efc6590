"""Mocks that write down every resource a program registers, so that tests assert on the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks

CERTIFICATE_EXPIRY = "2041-11-17 12:00:00 +0000 UTC"
RANGES = {
    "ipv4Cidrs": [f"198.18.{third}.0/24" for third in range(16, 31)],
    "ipv6Cidrs": [f"2001:db8:cf0{digit}::/48" for digit in range(7)],
}
_COMPUTED: dict[str, dict[str, Any]] = {
    "digitalocean:index/droplet:Droplet": {"ipv4Address": "198.19.1.2", "ipv6Address": "2001:db8:d0:1::2"},
    "digitalocean:index/tag:Tag": {"name": "site-host-firewall-tag"},
    "aws:ec2/instance:Instance": {"publicIp": "198.19.129.2", "ipv6Addresses": ["2001:db8:a0:1::2"]},
    "cloudflare:index/originCaCertificate:OriginCaCertificate": {
        "certificate": "ORIGIN LEAF",
        "expiresOn": CERTIFICATE_EXPIRY,
    },
    "tls:index/privateKey:PrivateKey": {
        "privateKeyPem": "KEY CANARY PEM",
        "privateKeyOpenssh": "KEY CANARY OPENSSH",
        "publicKeyOpenssh": "ssh-ed25519 AAAA",
    },
    "tls:index/certRequest:CertRequest": {"certRequestPem": "REQUEST"},
    "tls:index/selfSignedCert:SelfSignedCert": {"certPem": "CLIENT CA"},
    "tls:index/locallySignedCert:LocallySignedCert": {"certPem": "CLIENT LEAF"},
    "random:index/randomPassword:RandomPassword": {"result": "r" * 64},
    "command:remote:Command": {"stdout": "ssh-ed25519 AAAAHOST\n"},
}
_CALLS: dict[str, dict[str, Any]] = {
    "cloudflare:index/getIpRanges:getIpRanges": RANGES,
    "cloudflare:index/getZone:getZone": {"zoneId": "zone-1", "id": "zone-1"},
    "cloudflare:index/getDnsRecords:getDnsRecords": {"results": []},
    "digitalocean:index/getRegion:getRegion": {"sizes": ["s-1vcpu-1gb"]},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-0a1b2c3d"},
    "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-0b", "subnet-0a"]},
    "aws:ec2/getSubnet:getSubnet": {"vpcId": "vpc-0a1b2c3d", "ipv6CidrBlock": "2001:db8:a0:1::/64"},
    "aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0"},
}


@dataclass(frozen=True)
class Registered:
    """One registration, in the order in which it reached the engine."""

    type: str
    name: str
    inputs: dict[str, Any]
    custom: bool


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """`answers` overlays what lookups return, by token."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    resources: list[Registered] = field(default_factory=list)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        custom = bool(args.custom)
        made = Registered(args.typ, args.name, dict(args.inputs), custom)
        self.resources.append(made)
        return f"{args.name}-id", self.state(made)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {**_CALLS[args.token], **self.answers.get(args.token, {})}, []

    def state(self, resource: Registered) -> dict[str, Any]:
        """A resource's inputs, and what its cloud answered."""
        return {**resource.inputs, **_COMPUTED.get(resource.type, {})}

    def of(self, type_: str) -> list[Registered]:
        """All resources of one type, in order."""
        return [resource for resource in self.resources if resource.type == type_]

    def named(self, name: str) -> Registered:
        """The one custom resource of this name."""
        (found,) = [resource for resource in self.resources if resource.name == name and resource.custom]
        return found


def run(program: Callable[[], None], recorder: Recorder | None = None, preview: bool = False) -> Recorder:
    """Run `program` against mocks to its end, every Output awaited, and return what it registered."""
    recorder = recorder or Recorder()
    mocks.set_mocks(recorder, project="flask-origin", stack="test", preview=preview)
    pulumi.runtime.test(program)()
    return recorder
