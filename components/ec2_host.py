"""An EC2 instance behind its security group."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.ec2_firewall import Ec2Firewall, Ec2FirewallArgs
from components.host import HostArgs
from components.lookup import LookupFailed, asking
from components.sdk import (
    GetSubnetsFilterArgs,
    Instance,
    InstanceMetadataOptionsArgs,
    InstanceRootBlockDeviceArgs,
    KeyPair,
    get_parameter,
    get_subnet,
    get_subnets,
    get_vpc,
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an instance goes and from which image: plain ids, looked up once by `place`."""

    vpc_id: str
    subnet_id: str
    image_id: str
    architecture: str
    """Of the image: "amd64" or "arm64"."""
    ipv6: bool
    """Whether the subnet hands out IPv6 addresses."""


def place(
    *, architecture: str, vpc_id: str | None, subnet_id: str | None, opts: pulumi.InvokeOptions | None = None
) -> Placement:
    """Look up the network and Debian's image.

    The subnet is the one named, else the first by id of the VPC named, else of the default VPC. The image is what
    Debian publishes for `architecture` ("amd64" or "arm64"): https://wiki.debian.org/Cloud/AmazonEC2Image

    Raises LookupFailed: for a region that is none or credentials that are refused, when there is no default VPC, when
    the VPC has no subnet, or is none, and for a subnet that is none.
    """
    # Asked first: every region has the image, so that what is wrong then is the region or the credentials.
    with asking("host.region", "correct it, or the AWS credentials, which need ssm:GetParameter and ec2:Describe*"):
        image = get_parameter(name=f"/aws/service/debian/release/13/latest/{architecture}", opts=opts)
    if subnet_id is None:
        if vpc_id is None:
            with asking("host.vpc_id", "write the network's id: the region has no default VPC"):
                vpc_id = get_vpc(default=True, opts=opts).id
        with asking("host.vpc_id", "correct it"):
            found = get_subnets(filters=[GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id])], opts=opts).ids
        if not found:
            raise LookupFailed(f"host.vpc_id: {vpc_id} is none of the region's or has no subnet; do: correct it")
        subnet_id = sorted(found)[0]
    with asking("host.subnet_id", f"correct {subnet_id}, or remove it for the default network's first one"):
        subnet = get_subnet(id=subnet_id, opts=opts)
    return Placement(
        vpc_id=subnet.vpc_id,
        subnet_id=subnet_id,
        image_id=image.value,
        architecture=architecture,
        ipv6=bool(subnet.ipv6_cidr_block),
    )


@dataclass(frozen=True, kw_only=True)
class Ec2HostArgs(HostArgs):
    """A host's arguments and where AWS puts it."""

    placement: Placement


class Ec2Host(pulumi.ComponentResource):
    """One instance: IMDSv2 only and one hop away, encrypted gp3 root, public IPv4, IPv6 where the subnet has it."""

    def __init__(self, name: str, args: Ec2HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:ec2_host:Ec2Host", name, {}, opts)
        inside = pulumi.ResourceOptions(parent=self)
        firewall = Ec2Firewall(
            f"{name}-firewall",
            Ec2FirewallArgs(openings=args.openings, vpc_id=args.placement.vpc_id),
            inside,
        )
        key = KeyPair(f"{name}-key", public_key=args.public_key, opts=inside)
        # The published image moves every few weeks and a key pair can't be changed in place: either would replace
        # the instance for nothing. https://github.com/pulumi/pulumi-aws/issues/1412
        ignored = ["ami", "keyName"] if args.replace_on_bootstrap_change else ["ami", "keyName", "userData"]
        instance = Instance(
            name,
            ami=args.placement.image_id,
            instance_type=args.size,
            subnet_id=args.placement.subnet_id,
            vpc_security_group_ids=[firewall.group_id],
            associate_public_ip_address=True,
            ipv6_address_count=1 if args.placement.ipv6 else None,
            key_name=key.key_name,
            user_data=args.user_data,
            # Without it EC2 stops and starts the machine on a change and runs nothing again.
            user_data_replace_on_change=args.replace_on_bootstrap_change,
            metadata_options=InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=InstanceRootBlockDeviceArgs(volume_type="gp3", volume_size=16, encrypted=True),
            tags={"Name": name},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[firewall],
                ignore_changes=ignored,
                # EC2 would stop the instance for its new type, and then refuse to start the old disk on it.
                replacement_trigger=args.placement.architecture,
            ),
        )
        self.host_id: pulumi.Output[str] = instance.id
        self.ipv4: pulumi.Output[str] = instance.public_ip
        self.ipv6: pulumi.Output[str] | None = (
            instance.ipv6_addresses.apply(lambda addresses: addresses[0]) if args.placement.ipv6 else None
        )
        self.resource: pulumi.Resource = instance
        self.register_outputs({"ipv4": self.ipv4, "ipv6": self.ipv6})
