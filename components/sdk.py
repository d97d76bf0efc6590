"""The classes of the Cloudflare, DigitalOcean and AWS SDKs that this program uses, and no more of them."""

from __future__ import annotations

from components.deferred import defer_init, uncollected

for _package in (
    "pulumi_cloudflare",
    "pulumi_digitalocean",
    "pulumi_aws",
    "pulumi_aws.ec2",
    "pulumi_aws.ssm",
):
    defer_init(_package)

with uncollected():
    from pulumi_aws.ec2._inputs import (
        GetSubnetsFilterArgs,
        InstanceMetadataOptionsArgs,
        InstanceRootBlockDeviceArgs,
        SecurityGroupEgressArgs,
        SecurityGroupIngressArgs,
    )
    from pulumi_aws.ec2.get_subnet import get_subnet
    from pulumi_aws.ec2.get_subnets import get_subnets
    from pulumi_aws.ec2.get_vpc import get_vpc
    from pulumi_aws.ec2.instance import Instance
    from pulumi_aws.ec2.key_pair import KeyPair
    from pulumi_aws.ec2.security_group import SecurityGroup
    from pulumi_aws.provider import Provider as AwsProvider
    from pulumi_aws.ssm.get_parameter import get_parameter
    from pulumi_cloudflare._inputs import GetDnsRecordsNameArgs, GetZoneFilterArgs
    from pulumi_cloudflare.authenticated_origin_pulls_certificate import (
        AuthenticatedOriginPullsCertificate,
    )
    from pulumi_cloudflare.authenticated_origin_pulls_settings import AuthenticatedOriginPullsSettings
    from pulumi_cloudflare.dns_record import DnsRecord
    from pulumi_cloudflare.get_dns_records import get_dns_records
    from pulumi_cloudflare.get_ip_ranges import get_ip_ranges
    from pulumi_cloudflare.get_zone import get_zone
    from pulumi_cloudflare.origin_ca_certificate import OriginCaCertificate
    from pulumi_cloudflare.zone_setting import ZoneSetting
    from pulumi_digitalocean._inputs import FirewallInboundRuleArgs, FirewallOutboundRuleArgs
    from pulumi_digitalocean.droplet import Droplet
    from pulumi_digitalocean.firewall import Firewall
    from pulumi_digitalocean.get_region import get_region
    from pulumi_digitalocean.ssh_key import SshKey
    from pulumi_digitalocean.tag import Tag

__all__ = [
    "AuthenticatedOriginPullsCertificate",
    "AuthenticatedOriginPullsSettings",
    "AwsProvider",
    "DnsRecord",
    "Droplet",
    "Firewall",
    "FirewallInboundRuleArgs",
    "FirewallOutboundRuleArgs",
    "GetDnsRecordsNameArgs",
    "GetSubnetsFilterArgs",
    "GetZoneFilterArgs",
    "Instance",
    "InstanceMetadataOptionsArgs",
    "InstanceRootBlockDeviceArgs",
    "KeyPair",
    "OriginCaCertificate",
    "SecurityGroup",
    "SecurityGroupEgressArgs",
    "SecurityGroupIngressArgs",
    "SshKey",
    "Tag",
    "ZoneSetting",
    "get_dns_records",
    "get_ip_ranges",
    "get_parameter",
    "get_region",
    "get_subnet",
    "get_subnets",
    "get_vpc",
    "get_zone",
]
