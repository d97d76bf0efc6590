"""aws:ec2:Instance."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import ipaddress
import secrets
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from rehearsal.cloud import machine
from rehearsal.providers import machines
from rehearsal.providers.account import Stored
from rehearsal.providers.aws import catalog, keys, network, protection
from rehearsal.providers.base import UNKNOWN, ApiError, Diff, Failure, Property, Props, has_unknown, same
from rehearsal.providers.shapes import as_list, known, nested, nested_changes, with_defaults

USER_DATA_LIMIT: Final = 16 * 1024  # bytes before base64
SNAPSHOT_GIB: Final = 8  # of Debian's image: no root volume is smaller
MOST_GROUPS: Final = 5
METADATA: Final = {
    "httpEndpoint": Property(default="enabled", choices=("enabled", "disabled"), computed=True),
    "httpProtocolIpv6": Property(default="disabled", choices=("enabled", "disabled"), computed=True),
    "httpPutResponseHopLimit": Property(kind=int, default=2, choices=tuple(range(1, 65)), computed=True),
    # Debian's image asks for IMDSv2.
    "httpTokens": Property(default="required", choices=("optional", "required"), computed=True),
    "instanceMetadataTags": Property(default="disabled", choices=("enabled", "disabled"), computed=True),
}
ROOT: Final = {
    "volumeType": Property(
        default="gp3", choices=("standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"), computed=True
    ),
    "volumeSize": Property(kind=int, default=SNAPSHOT_GIB, computed=True),
    "encrypted": Property(kind=bool, default=False, replace=True, computed=True),
    "deleteOnTermination": Property(kind=bool, default=True),
    "iops": Property(kind=int, computed=True),
    "throughput": Property(kind=int, computed=True),
    "kmsKeyId": Property(replace=True, computed=True),
    "tags": Property(kind=dict),
    # Computed; the SDK lists them among the inputs.
    "deviceName": Property(computed=True),
    "tagsAll": Property(kind=dict, computed=True),
    "volumeId": Property(computed=True),
}
# What EC2 changes of a stopped instance only, and what is another one when it is started again.
_STOPPING: Final = ("instanceType", "userData", "userDataBase64")
_MOVING: Final = ("publicIp", "publicDns")


class Instance(Stored):
    """A real machine. Created when it is "running", which is before cloud-init is done.

    Its public IPv4 address is its own, where EC2 would translate it from a private one.

    Source: terraform-provider-aws v6, internal/service/ec2/ec2_instance.go.
    """

    token = "aws:ec2/instance:Instance"
    cloud = "aws"
    collection = protection.INSTANCES
    sets = ("vpcSecurityGroupIds",)
    refused = (
        "capacityReservationSpecification",
        "cpuOptions",
        "ebsBlockDevices",
        "ebsOptimized",
        "enablePrimaryIpv6",
        "enclaveOptions",
        "ephemeralBlockDevices",
        "getPasswordData",
        "hibernation",
        "hostId",
        "hostResourceGroupArn",
        "iamInstanceProfile",
        "instanceMarketOptions",
        "ipv6Addresses",
        "launchTemplate",
        "maintenanceOptions",
        "networkInterfaces",
        "placementGroup",
        "placementGroupId",
        "placementPartitionNumber",
        "primaryNetworkInterface",
        "privateDnsNameOptions",
        "privateIp",
        "secondaryNetworkInterfaces",
        "secondaryPrivateIps",
        "securityGroups",
    )
    inputs: ClassVar = {
        "ami": Property(required=True, replace=True),
        "instanceType": Property(required=True),
        "subnetId": Property(replace=True, computed=True),
        "availabilityZone": Property(replace=True, computed=True),
        "vpcSecurityGroupIds": Property(kind=list, computed=True),
        "associatePublicIpAddress": Property(kind=bool, replace=True, computed=True),
        "ipv6AddressCount": Property(kind=int, replace=True, computed=True),
        "keyName": Property(replace=True, computed=True),
        "userData": Property(computed=True),  # these two: stop and start, unless userDataReplaceOnChange
        "userDataBase64": Property(computed=True),
        "userDataReplaceOnChange": Property(kind=bool, default=False),
        "metadataOptions": Property(kind=dict, computed=True),
        "rootBlockDevice": Property(kind=dict, computed=True),
        "tags": Property(kind=dict),
        "volumeTags": Property(kind=dict),
        "monitoring": Property(kind=bool, computed=True),
        "ebsOptimized": Property(kind=bool, replace=True, computed=True),
        "disableApiStop": Property(kind=bool, computed=True),
        "disableApiTermination": Property(kind=bool, computed=True),
        "forceDestroy": Property(kind=bool, default=False),
        "instanceInitiatedShutdownBehavior": Property(choices=("stop", "terminate"), computed=True),
        "creditSpecification": Property(kind=dict),
        "sourceDestCheck": Property(kind=bool, default=True),
        "tenancy": Property(replace=True, choices=("default",), computed=True),
        "region": Property(replace=True, computed=True),
        "capacityReservationSpecification": Property(kind=dict, computed=True),
        "cpuOptions": Property(kind=dict, replace=True, computed=True),
        "ebsBlockDevices": Property(kind=list, computed=True),
        "enablePrimaryIpv6": Property(kind=bool, computed=True),
        "enclaveOptions": Property(kind=dict, computed=True),
        "ephemeralBlockDevices": Property(kind=list, replace=True, computed=True),
        "getPasswordData": Property(kind=bool, default=False),
        "hibernation": Property(kind=bool, replace=True),
        "hostId": Property(replace=True, computed=True),
        "hostResourceGroupArn": Property(computed=True),
        "iamInstanceProfile": Property(computed=True),
        "instanceMarketOptions": Property(kind=dict, replace=True, computed=True),
        "ipv6Addresses": Property(kind=list, replace=True, computed=True),
        "launchTemplate": Property(kind=dict, replace=True),
        "maintenanceOptions": Property(kind=dict, computed=True),
        "networkInterfaces": Property(kind=list, computed=True),
        "placementGroup": Property(replace=True, computed=True),
        "placementGroupId": Property(replace=True, computed=True),
        "placementPartitionNumber": Property(kind=int, replace=True, computed=True),
        "primaryNetworkInterface": Property(kind=dict, replace=True, computed=True),
        "privateDnsNameOptions": Property(kind=dict, computed=True),
        "privateIp": Property(replace=True, computed=True),
        "secondaryNetworkInterfaces": Property(kind=list, replace=True, computed=True),
        "secondaryPrivateIps": Property(kind=list, computed=True),
        "securityGroups": Property(kind=list, replace=True, computed=True),
    }
    outputs: ClassVar = {
        "arn": Property(),
        "instanceLifecycle": Property(),
        "instanceState": Property(),
        "outpostArn": Property(),
        "passwordData": Property(),
        "primaryNetworkInterfaceId": Property(),
        "privateDns": Property(),
        "publicDns": Property(),
        "publicIp": Property(),
        "spotInstanceRequestId": Property(),
        "tagsAll": Property(kind=dict),
    }

    def _odd(self, news: Props) -> Iterator[Failure]:
        yield from catalog.odd_region(news)
        yield from catalog.odd_tags(news, "tags", "volumeTags")
        yield from _odd_user_data(news)
        yield from _odd_network(news)
        kind = news.get("instanceType")
        if known(kind) and kind not in catalog.instance_types():
            family = sorted(
                name for name in catalog.instance_types() if name.startswith(f"{str(kind).partition('.')[0]}.")
            )
            others = f"; of its family are {', '.join(family)}" if family else ""
            yield Failure("instanceType", f"Invalid value {kind!r} for InstanceType: EC2 has no such type{others}")
        yield from nested("metadataOptions", news.get("metadataOptions"), METADATA)
        yield from [*nested("rootBlockDevice", news.get("rootBlockDevice"), ROOT)] or _odd_root(news)

    def diff(self, id: str, old_inputs: Props, old_outputs: Props, news: Props) -> Diff:
        found = super().diff(id, old_inputs, old_outputs, news)
        changes, replaces = list(found.changes), list(found.replaces)
        if news.get("userDataReplaceOnChange") is True:
            replaces += [name for name in ("userData", "userDataBase64") if name in changes]
        for name, table in (("metadataOptions", METADATA), ("rootBlockDevice", ROOT)):
            if name in changes and not has_unknown(news[name]):
                within = nested_changes(old_inputs.get(name), news[name], table)
                if not within:
                    changes.remove(name)
                if any(table[part].replace for part in within):
                    replaces.append(name)
        return Diff(tuple(changes), tuple(replaces), renews=_MOVING if _stops(changes) else ())

    def _create(self, name: str, inputs: Props) -> tuple[str, Props]:
        region = catalog.region(inputs)
        subnet_id, subnet = self._subnet(region, inputs)
        groups = inputs.get("vpcSecurityGroupIds") or [network.default_group(subnet["vpcId"])]
        public_keys = self._ordered(region, subnet["vpcId"], groups, inputs)
        found = machine.addresses(self.world, "aws")
        if not inputs.get("ipv6AddressCount"):
            found = dataclasses.replace(found, ipv6="")
        id = f"i-{secrets.token_hex(9)[:17]}"
        private = str(ipaddress.ip_network(subnet["cidrBlock"])[self.world.store.serial("aws/private") % 4000 + 10])
        hostname = f"ip-{private.replace('.', '-')}"
        outputs = {
            **inputs,
            **self._settings(id, inputs, {}),
            "region": region,
            "arn": catalog.arn("ec2", region, f"instance/{id}"),
            "associatePublicIpAddress": True,
            "availabilityZone": subnet["availabilityZone"],
            "instanceState": "pending",
            "ipv6AddressCount": 1 if found.ipv6 else 0,
            "ipv6Addresses": [found.ipv6] if found.ipv6 else [],
            "primaryNetworkInterfaceId": catalog.identifier("eni", id),
            "privateDns": f"{hostname}.ec2.internal",
            "privateIp": private,
            **_public(found.ipv4),
            "subnetId": subnet_id,
            "tenancy": "default",
            "vpcSecurityGroupIds": groups,
        }
        self._keep(id, outputs, (name, inputs), ipv4=found.ipv4, ipv6=found.ipv6, groups=groups)
        try:
            protection.apply(self.world)  # before its first packet
            user_data = _user_data(inputs).decode()
            machines.boot(self.world, id, found, hostname=hostname, user_data=user_data, public_keys=public_keys)
        except BaseException:
            self._terminate(id)
            raise
        return id, self._keep(id, {**outputs, "instanceState": "running"})

    def read(self, id: str, outputs: Props) -> Props | None:
        found = super().read(id, outputs)
        return found and {**found, "instanceState": "running" if machine.running(self.world, id) else "stopped"}

    def _update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        groups = inputs.get("vpcSecurityGroupIds") or old_outputs["vpcSecurityGroupIds"]
        self._refuse_groups(groups)
        if inputs["instanceType"] != old_outputs["instanceType"]:
            self._refuse_architecture(old_outputs["region"], {**inputs, "ami": old_outputs["ami"]})
        settings = self._settings(id, inputs, old_outputs)
        if settings["rootBlockDevice"]["volumeSize"] < old_outputs["rootBlockDevice"]["volumeSize"]:
            raise ApiError("InvalidParameterValue: New size cannot be smaller than existing size")
        given = {name for name in ("userData", "userDataBase64") if name in inputs}
        outputs = {
            # There is one user data, however it is written.
            **{name: value for name, value in old_outputs.items() if not (given and name.startswith("userData"))},
            **inputs,
            **settings,
            "vpcSecurityGroupIds": groups,
        }
        stops = _stops(name for name in _STOPPING if name in inputs and not same(old_outputs.get(name), inputs[name]))
        if not stops:
            done = self._keep(id, outputs, groups=groups)
            protection.apply(self.world)
            return done
        # cloud-init runs nothing again, for it is the same instance; but its public IPv4 address is another one.
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-instance-addressing.html#concepts-public-addresses
        ipv4 = machine.addresses(self.world, "aws").ipv4
        done = self._keep(id, {**outputs, **_public(ipv4)}, groups=groups, ipv4=ipv4)
        protection.apply(self.world)
        machines.stop_and_start(self.world, id, ipv4=ipv4)
        return done

    def _delete(self, id: str) -> None:
        kept = self.world.store.get(self.collection, id) or {}
        if kept["outputs"].get("disableApiTermination"):
            raise ApiError(
                f"terminating EC2 Instance ({id}): OperationNotPermitted: The instance '{id}' may not be terminated. "
                "Modify its 'disableApiTermination' instance attribute and try again."
            )
        self._terminate(id)

    def _terminate(self, id: str) -> None:
        machine.destroy(self.world, id)
        self.world.store.delete(self.collection, id)
        protection.apply(self.world)

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        found = super().adopt(name, inputs)
        if found and not machines.whole(self.world, found[0]):
            self._terminate(found[0])
            return None
        return found

    def _subnet(self, region: str, inputs: Props) -> tuple[str, Props]:
        known_subnets = network.subnets(self.world, region)
        if (wanted := inputs.get("subnetId")) is not None:
            if wanted not in known_subnets:
                raise ApiError(f"InvalidSubnetID.NotFound: The subnet ID '{wanted}' does not exist")
            return wanted, known_subnets[wanted]
        zone = inputs.get("availabilityZone")
        for id, subnet in sorted(known_subnets.items(), key=lambda item: item[1]["availabilityZone"]):
            if subnet["defaultForAz"] and zone in (None, subnet["availabilityZone"]):
                return id, subnet
        raise ApiError(f"InvalidParameterValue: Invalid availability zone: [{zone}]")

    def _ordered(self, region: str, vpc_id: str, groups: list[str], inputs: Props) -> list[str]:
        """The public keys for the machine; ApiError when RunInstances would refuse."""
        if catalog.image_architecture(inputs["ami"], region) is None:
            raise ApiError(f"InvalidAMIID.NotFound: The image id '[{inputs['ami']}]' does not exist")
        self._refuse_architecture(region, inputs)
        self._refuse_groups(groups)
        for group in groups:
            kept = self.world.store.get(network.GROUPS, group) or {}
            if kept["vpc_id"] != vpc_id:
                raise ApiError(
                    f"InvalidParameter: Security group {group} and the instance's subnet belong to different networks."
                )
        if (key_name := inputs.get("keyName")) is None:
            return []
        key = self.world.store.get(keys.COLLECTION, key_name)
        if key is None or key["region"] != region:
            raise ApiError(f"InvalidKeyPair.NotFound: The key pair '{key_name}' does not exist")
        return [key["public_key"]]

    def _refuse_architecture(self, region: str, inputs: Props) -> None:
        kind, image = catalog.architecture(inputs["instanceType"]), catalog.image_architecture(inputs["ami"], region)
        if kind != image:
            raise ApiError(
                f"InvalidParameterValue: The architecture '{kind}' of the specified instance type does not match the "
                f"architecture '{image}' of the specified AMI."
            )

    def _refuse_groups(self, groups: list[str]) -> None:
        for group in groups:
            if self.world.store.get(network.GROUPS, group) is None:
                raise ApiError(f"InvalidGroup.NotFound: The security group '{group}' does not exist")

    def _settings(self, id: str, inputs: Props, old: Props) -> Props:
        """The nested objects and the tags: what is left out stays as it is, or is what EC2 chooses at first."""
        given = {name: {**old.get(name, {}), **inputs.get(name, {})} for name in ("rootBlockDevice", "metadataOptions")}
        root = with_defaults(given["rootBlockDevice"], ROOT)
        return {
            "metadataOptions": with_defaults(given["metadataOptions"], METADATA),
            "rootBlockDevice": {**root, "deviceName": "/dev/xvda", "volumeId": catalog.identifier("vol", id)},
            "tagsAll": inputs.get("tags") or {},
        }


def _stops(changed: Iterable[str]) -> bool:
    """Whether a change in place stops and starts the instance."""
    return any(name in _STOPPING for name in changed)


def _public(ipv4: str) -> Props:
    return {"publicDns": f"ec2-{ipv4.replace('.', '-')}.compute-1.amazonaws.com", "publicIp": ipv4}


def _user_data(inputs: Props) -> bytes:
    if (encoded := inputs.get("userDataBase64")) is not None:
        return base64.b64decode(encoded)
    return (inputs.get("userData") or "").encode()


def _odd_user_data(news: Props) -> Iterator[Failure]:
    given = [name for name in ("userData", "userDataBase64") if news.get(name) is not None]
    if len(given) == 2:
        yield Failure("userData", '"user_data": conflicts with user_data_base64')
    for name in given:
        if news[name] is UNKNOWN or not isinstance(news[name], str):
            continue
        try:
            size = len(_user_data({name: news[name]}))
        except binascii.Error:
            yield Failure(name, "expected a base64 string")
            continue
        if size > USER_DATA_LIMIT:
            yield Failure(name, f"User data is limited to {USER_DATA_LIMIT} bytes: it has {size}")


def _odd_network(news: Props) -> Iterator[Failure]:
    if news.get("associatePublicIpAddress") is False:
        yield Failure("associatePublicIpAddress", "an instance without a public IPv4 address is not rehearsed")
    if isinstance(news.get("ipv6AddressCount"), int) and news["ipv6AddressCount"] not in (0, 1):
        yield Failure("ipv6AddressCount", f"0 and 1 are rehearsed, not {news['ipv6AddressCount']}")
    if len(as_list(news.get("vpcSecurityGroupIds"))) > MOST_GROUPS:
        yield Failure(
            "vpcSecurityGroupIds",
            "SecurityGroupsPerInterfaceLimitExceeded: The maximum number of security groups per interface has been "
            f"reached. ({MOST_GROUPS})",
        )


def _odd_root(news: Props) -> Iterator[Failure]:
    root = news.get("rootBlockDevice")
    if not isinstance(root, dict):
        return
    if root.get("kmsKeyId"):
        yield Failure("rootBlockDevice.kmsKeyId", "is not rehearsed; leave it out for the account's own key")
    size, kind = root.get("volumeSize"), root.get("volumeType", "gp3")
    if isinstance(size, int) and size < SNAPSHOT_GIB:
        yield Failure(
            "rootBlockDevice.volumeSize",
            f"InvalidBlockDeviceMapping: Volume of size {size}GB is smaller than the image's snapshot, expect size >= "
            f"{SNAPSHOT_GIB}GB",
        )
    if kind in ("sc1", "st1"):
        yield Failure("rootBlockDevice.volumeType", f"InvalidParameterValue: {kind} volumes can't be boot volumes")
    if root.get("throughput") is not None and kind != "gp3":
        yield Failure("rootBlockDevice.throughput", f"throughput must not be configured with volume type {kind}")
    if root.get("iops") is not None and kind not in ("gp3", "io1", "io2"):
        yield Failure("rootBlockDevice.iops", f"iops must not be configured with volume type {kind}")
