"""The classes of the Cloudflare, DigitalOcean and AWS SDKs that this program uses, and no more of them."""

from __future__ import annotations

from components.deferred import defer_init

for _package in (
    "pulumi_cloudflare",
    "pulumi_digitalocean",
    "pulumi_aws",
    "pulumi_aws.ec2",
    "pulumi_aws.ssm",
    "pulumi_aws.vpc",
):
    defer_init(_package)

from pulumi_aws.ec2._inputs import (  # noqa: E402
    GetSubnetsFilterArgs,
    InstanceMetadataOptionsArgs,
    InstanceRootBlockDeviceArgs,
)
from pulumi_aws.ec2.get_subnet import get_subnet  # noqa: E402
from pulumi_aws.ec2.get_subnets import get_subnets  # noqa: E402
from pulumi_aws.ec2.get_vpc import get_vpc  # noqa: E402
from pulumi_aws.ec2.instance import Instance  # noqa: E402
from pulumi_aws.ec2.key_pair import KeyPair  # noqa: E402
from pulumi_aws.ec2.security_group import SecurityGroup  # noqa: E402
from pulumi_aws.provider import Provider as AwsProvider  # noqa: E402
from pulumi_aws.ssm.get_parameter import get_parameter  # noqa: E402
from pulumi_aws.vpc.security_group_egress_rule import SecurityGroupEgressRule  # noqa: E402
from pulumi_aws.vpc.security_group_ingress_rule import SecurityGroupIngressRule  # noqa: E402
from pulumi_cloudflare._inputs import GetZoneFilterArgs  # noqa: E402
from pulumi_cloudflare.authenticated_origin_pulls_certificate import (  # noqa: E402
    AuthenticatedOriginPullsCertificate,
)
from pulumi_cloudflare.authenticated_origin_pulls_settings import AuthenticatedOriginPullsSettings  # noqa: E402
from pulumi_cloudflare.dns_record import DnsRecord  # noqa: E402
from pulumi_cloudflare.get_ip_ranges import get_ip_ranges  # noqa: E402
from pulumi_cloudflare.get_zone import get_zone  # noqa: E402
from pulumi_cloudflare.origin_ca_certificate import OriginCaCertificate  # noqa: E402
from pulumi_cloudflare.zone_setting import ZoneSetting  # noqa: E402
from pulumi_digitalocean._inputs import FirewallInboundRuleArgs, FirewallOutboundRuleArgs  # noqa: E402
from pulumi_digitalocean.droplet import Droplet  # noqa: E402
from pulumi_digitalocean.firewall import Firewall  # noqa: E402
from pulumi_digitalocean.ssh_key import SshKey  # noqa: E402
from pulumi_digitalocean.tag import Tag  # noqa: E402

__all__ = [
    "AuthenticatedOriginPullsCertificate",
    "AuthenticatedOriginPullsSettings",
    "AwsProvider",
    "DnsRecord",
    "Droplet",
    "Firewall",
    "FirewallInboundRuleArgs",
    "FirewallOutboundRuleArgs",
    "GetSubnetsFilterArgs",
    "GetZoneFilterArgs",
    "Instance",
    "InstanceMetadataOptionsArgs",
    "InstanceRootBlockDeviceArgs",
    "KeyPair",
    "OriginCaCertificate",
    "SecurityGroup",
    "SecurityGroupEgressRule",
    "SecurityGroupIngressRule",
    "SshKey",
    "Tag",
    "ZoneSetting",
    "get_ip_ranges",
    "get_parameter",
    "get_subnet",
    "get_subnets",
    "get_vpc",
    "get_zone",
]
