"""What the providers publish of their inputs, transcribed from their sources: what the handlers' tables have to say.

`replaces` is ForceNew or RequiresReplace there, `defaults` is Default, `computed` is optional and computed without one.
Names are Pulumi's. Where a package gives a name of its own to what has none, the name is neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_GITHUB = "https://github.com"
_AWS = f"{_GITHUB}/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2"
_CLOUDFLARE = f"{_GITHUB}/cloudflare/terraform-provider-cloudflare/blob/main/internal/services"
_DIGITALOCEAN = f"{_GITHUB}/digitalocean/terraform-provider-digitalocean/blob/main/digitalocean"
_TLS = f"{_GITHUB}/hashicorp/terraform-provider-tls/blob/main/internal/provider"
_COMMAND = f"{_GITHUB}/pulumi/pulumi-command/blob/master/provider/cmd/pulumi-resource-command/schema.json"
_REQUEST = "privateKeyPem privateKeyPemWo privateKeyPemWoVersion subject dnsNames ipAddresses uris"
_CERTIFICATE = "allowedUses validityPeriodHours isCaCertificate maxPathLength setSubjectKeyId"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One resource's inputs; names apart by spaces."""

    source: str
    replaces: str = ""
    computed: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)


PUBLISHED = {
    "KeyPair": Published(
        source=f"{_AWS}/ec2_key_pair.go",
        replaces="keyName keyNamePrefix publicKey region",
        computed="region",
    ),
    "SecurityGroup": Published(
        source=f"{_AWS}/vpc_security_group.go",
        replaces="name namePrefix description vpcId region",
        computed="vpcId ingress egress region",
        # pulumi-aws's own text, in place of "Managed by Terraform".
        defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    ),
    "Instance": Published(
        source=f"{_AWS}/ec2_instance.go",
        replaces="ami associatePublicIpAddress availabilityZone cpuOptions ebsOptimized ephemeralBlockDevices "
        "hibernation hostId instanceMarketOptions ipv6AddressCount ipv6Addresses keyName launchTemplate placementGroup "
        "placementGroupId placementPartitionNumber primaryNetworkInterface privateIp region secondaryNetworkInterfaces "
        "securityGroups subnetId tenancy",
        computed="associatePublicIpAddress availabilityZone capacityReservationSpecification cpuOptions disableApiStop "
        "disableApiTermination ebsBlockDevices ebsOptimized enablePrimaryIpv6 enclaveOptions ephemeralBlockDevices "
        "hostId hostResourceGroupArn iamInstanceProfile instanceInitiatedShutdownBehavior instanceMarketOptions "
        "ipv6AddressCount ipv6Addresses keyName maintenanceOptions metadataOptions monitoring networkInterfaces "
        "placementGroup placementGroupId placementPartitionNumber primaryNetworkInterface privateDnsNameOptions "
        "privateIp region rootBlockDevice secondaryNetworkInterfaces secondaryPrivateIps securityGroups subnetId "
        "tenancy userData userDataBase64 vpcSecurityGroupIds",
        defaults={
            "forceDestroy": False,
            "getPasswordData": False,
            "sourceDestCheck": True,
            "userDataReplaceOnChange": False,
        },
    ),
    "DnsRecord": Published(
        source=f"{_CLOUDFLARE}/dns_record/schema.go",
        replaces="zoneId type",
        computed="settings tags",
        defaults={"proxied": False},
    ),
    "ZoneSetting": Published(source=f"{_CLOUDFLARE}/zone_setting/schema.go", replaces="zoneId settingId"),
    "OriginCaCertificate": Published(
        source=f"{_CLOUDFLARE}/origin_ca_certificate/schema.go",
        replaces="csr hostnames requestType requestedValidity",
        defaults={"requestedValidity": 5475},
    ),
    "AuthenticatedOriginPullsCertificate": Published(
        source=f"{_CLOUDFLARE}/authenticated_origin_pulls_certificate/schema.go", replaces="zoneId certificate"
    ),
    "AuthenticatedOriginPullsSettings": Published(
        source=f"{_CLOUDFLARE}/authenticated_origin_pulls_settings/schema.go", replaces="zoneId"
    ),
    "Command": Published(source=_COMMAND, replaces="triggers"),
    "CopyToRemote": Published(source=_COMMAND, replaces="triggers"),
    "LocalCommand": Published(source=_COMMAND, replaces="triggers"),
    "SshKey": Published(source=f"{_DIGITALOCEAN}/sshkey/resource_ssh_key.go", replaces="publicKey"),
    "Tag": Published(source=f"{_DIGITALOCEAN}/tag/resource_tag.go", replaces="name"),
    "Firewall": Published(source=f"{_DIGITALOCEAN}/firewall/firewalls.go"),
    "Droplet": Published(
        source=f"{_DIGITALOCEAN}/droplet/resource_droplet.go",
        replaces="image region sshKeys userData monitoring dropletAgent publicNetworking gpuPartitionMode vpcUuid",
        computed="region publicNetworking ipv6Address privateNetworking volumeIds vpcUuid",
        defaults={
            "backups": False,
            "gracefulShutdown": False,
            "ipv6": False,
            "monitoring": False,
            "resizeDisk": True,
        },
    ),
    "RandomPassword": Published(
        source=f"{_GITHUB}/hashicorp/terraform-provider-random/blob/main/internal/provider/resource_password.go",
        replaces="keepers length special upper lower number numeric minNumeric minUpper minLower minSpecial "
        "overrideSpecial",
        computed="number",
        defaults={
            **dict.fromkeys(("special", "upper", "lower", "numeric"), True),
            **dict.fromkeys(("minNumeric", "minUpper", "minLower", "minSpecial"), 0),
        },
    ),
    "PrivateKey": Published(
        source=f"{_TLS}/resource_private_key.go",
        replaces="algorithm rsaBits ecdsaCurve",
        defaults={"rsaBits": 2048, "ecdsaCurve": "P224"},
    ),
    "CertRequest": Published(source=f"{_TLS}/resource_cert_request.go", replaces=_REQUEST),
    "SelfSignedCert": Published(
        source=f"{_TLS}/resource_self_signed_cert.go",
        replaces=f"{_REQUEST} {_CERTIFICATE} setAuthorityKeyId",
        defaults={
            "earlyRenewalHours": 0,
            "isCaCertificate": False,
            "setAuthorityKeyId": False,
            "setSubjectKeyId": False,
        },
    ),
    "LocallySignedCert": Published(
        source=f"{_TLS}/resource_locally_signed_cert.go",
        replaces=f"{_CERTIFICATE} caCertPem caPrivateKeyPem caPrivateKeyPemWo caPrivateKeyPemWoVersion certRequestPem",
        defaults={"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False},
    ),
}

# Of the objects inside a property; the rest of what each holds is in the SDKs, with which the tables are compared.
CONNECTION = Published(
    source=_COMMAND, defaults={"port": 22, "user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
)
ROOT = Published(
    source=f"{_AWS}/ec2_instance.go",
    replaces="encrypted kmsKeyId",
    computed="deviceName encrypted iops kmsKeyId tagsAll throughput volumeId volumeSize volumeType",
    defaults={"deleteOnTermination": True},
)
METADATA = Published(
    source=f"{_AWS}/ec2_instance.go",
    computed="httpEndpoint httpProtocolIpv6 httpPutResponseHopLimit httpTokens instanceMetadataTags",
)
