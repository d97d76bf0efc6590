"""AWS's handlers: the default network, keys, security groups and their limits, and instances."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rehearsal.cloud import firewall, machine
from rehearsal.cloud.world import World
from rehearsal.providers.aws import catalog
from rehearsal.providers.base import UNKNOWN, ApiError, Function, Props, Resource
from tests.rehearsal.providers.conftest import Calls
from tests.rehearsal.providers.driving import Made, make, refusals

Resources = dict[str, Resource]
Functions = dict[str, Function]
IMAGE = catalog.image("/aws/service/debian/release/13/latest/amd64", "us-east-1")


def line(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def instance(resources: Resources, **more: object) -> Made:
    return make(resources["Instance"], "origin", **{"ami": IMAGE, "instanceType": "t3.micro", **more})


def rule(*networks: str, **more: object) -> Props:
    given = {"protocol": "tcp", "fromPort": 443, "toPort": 443}
    peers = {
        "cidrBlocks": [network for network in networks if ":" not in network],
        "ipv6CidrBlocks": [network for network in networks if ":" in network],
    }
    return {**given, **{name: those for name, those in peers.items() if those}, **more}


EVERYWHERE = rule("0.0.0.0/0", "::/0", protocol="-1", fromPort=0, toPort=0)


@pytest.fixture
def group(resources: Resources) -> Made:
    return make(resources["SecurityGroup"], "origin")


# Lookups


def test_the_default_network_has_dual_stack_subnets(functions: Functions) -> None:
    vpc = functions["getVpc"].invoke({"default": True})
    assert vpc["id"].startswith("vpc-")
    ids = functions["getSubnets"].invoke({"filters": [{"name": "vpc-id", "values": [vpc["id"]]}]})["ids"]
    assert len(ids) == 3
    subnet = functions["getSubnet"].invoke({"id": ids[0]})
    assert subnet["vpcId"] == vpc["id"]
    assert subnet["ipv6CidrBlock"]
    assert functions["getVpc"].invoke({"default": True})["id"] == vpc["id"]
    assert functions["getVpc"].invoke({"default": True, "region": "eu-central-1"})["id"] != vpc["id"]


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        ("getVpc", {"id": "vpc-0"}, "no matching EC2 VPC found"),
        ("getVpc", {"dhcpOptionsId": "dopt-1"}, "dhcpOptionsId is not rehearsed"),
        ("getSubnet", {"id": "subnet-0"}, "no matching EC2 Subnet found"),
        ("getSubnet", {}, "multiple EC2 Subnets matched"),
        ("getSubnets", {"filters": [{"name": "colour", "values": ["red"]}]}, "The filter 'colour' is invalid"),
        ("getVpc", {"region": "mars-1"}, "invalid AWS Region: mars-1"),
        ("getParameter", {"name": "/aws/service/debian/release/12/latest/amd64"}, "ParameterNotFound"),
    ],
)
def test_what_is_not_there_is_not_found(
    functions: Functions, function: str, args: dict[str, object], said: str
) -> None:
    with pytest.raises(ApiError, match=said):
        functions[function].invoke(args)


def test_a_subnet_is_found_by_its_filters(functions: Functions) -> None:
    filters = [{"name": "availability-zone", "values": ["us-east-1b"]}, {"name": "default-for-az", "values": ["true"]}]
    assert len(functions["getSubnets"].invoke({"filters": filters})["ids"]) == 1
    assert functions["getSubnets"].invoke({"filters": [{"name": "vpc-id", "values": ["vpc-0"]}]})["ids"] == []


def test_images_differ_by_region_and_architecture(functions: Functions) -> None:
    name = "/aws/service/debian/release/13/latest/"
    found = {
        functions["getParameter"].invoke({"name": name + architecture, "region": region})["value"]
        for architecture in ("amd64", "arm64")
        for region in ("us-east-1", "eu-central-1")
    }
    assert len(found) == 4
    assert all(id.startswith("ami-") for id in found)


@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("t3.micro", "x86_64"),
        ("t4g.nano", "arm64"),
        ("m7gd.large", "arm64"),
        ("a1.medium", "arm64"),
        ("g5.xlarge", "x86_64"),
    ],
)
def test_architectures_of_types(kind: str, architecture: str) -> None:
    assert kind in catalog.instance_types()
    assert catalog.architecture(kind) == architecture


# Keys


def test_key_pairs(resources: Resources) -> None:
    made = make(resources["KeyPair"], "operator", publicKey=line(ed25519.Ed25519PrivateKey.generate()))
    assert made.id == made.outputs["keyName"]
    assert made.outputs["keyType"] == "ed25519"
    assert made.diff(publicKey="other").replaces == ("publicKey",)
    assert made.update(tags={"a": "b"})["tagsAll"] == {"a": "b"}
    assert made.diff(publicKey=made.inputs["publicKey"] + "\n").changes == ()
    with pytest.raises(ApiError, match=r"InvalidKeyPair\.Duplicate"):
        make(resources["KeyPair"], keyName=made.id, publicKey=made.inputs["publicKey"])
    assert make(resources["KeyPair"], publicKey=line(rsa.generate_private_key(65537, 2048))).outputs["keyType"] == "rsa"
    for refused in (line(ec.generate_private_key(ec.SECP256R1())), "garbage", ""):
        with pytest.raises(ApiError, match=r"InvalidKey\.Format"):
            make(resources["KeyPair"], publicKey=refused)


# Security groups


def test_a_group_admits_what_its_rules_say_and_nothing_else(resources: Resources, group: Made, calls: Calls) -> None:
    made = instance(resources, vpcSecurityGroupIds=[group.id])
    assert calls.of("boot")[0]["rules"] == firewall.Rules()
    group.update(ingress=[rule("198.18.16.0/24", "2001:db8::/32")], egress=[EVERYWHERE])
    assert calls.rules[made.id] == firewall.Rules(
        inbound=(
            firewall.Rule(protocol="tcp", ports=(443, 443), networks=("198.18.16.0/24",)),
            firewall.Rule(protocol="tcp", ports=(443, 443), networks=("2001:db8::/32",)),
        ),
        outbound=(
            firewall.Rule(protocol="any", networks=("0.0.0.0/0",)),
            firewall.Rule(protocol="any", networks=("::/0",)),
        ),
    )
    group.update(ingress=[])
    rules = calls.rules[made.id]
    assert rules is not None
    assert rules.inbound == ()
    assert len(rules.outbound) == 2


def test_a_rule_may_name_a_group(resources: Resources, group: Made, calls: Calls) -> None:
    workers = make(resources["SecurityGroup"], "workers")
    worker = instance(resources, vpcSecurityGroupIds=[workers.id], ipv6AddressCount=1)
    made = instance(resources, vpcSecurityGroupIds=[group.id])
    group.update(ingress=[rule(securityGroups=[workers.id])])
    rules = calls.rules[made.id]
    assert rules is not None
    assert rules.inbound[0].networks == (worker.outputs["publicIp"], *worker.outputs["ipv6Addresses"])
    worker.delete()
    with pytest.raises(ApiError, match="DependencyViolation"):
        workers.delete()
    group.update(ingress=[])
    workers.delete()
    with pytest.raises(ApiError, match=r"InvalidGroup\.NotFound"):
        group.update(ingress=[rule(securityGroups=[workers.id])])


def test_without_groups_an_instance_has_the_networks_own(resources: Resources, calls: Calls) -> None:
    made = instance(resources)
    rules = calls.rules[made.id]
    assert rules is not None
    assert rules.inbound == (firewall.Rule(protocol="any", networks=(made.outputs["publicIp"],)),)
    assert [rule.networks for rule in rules.outbound] == [("0.0.0.0/0",), ("::/0",)]


def test_a_group_holds_60_rules_of_each_family_and_direction(resources: Resources, group: Made) -> None:
    sixty = [f"198.18.{n}.0/24" for n in range(60)]
    group.update(ingress=[rule(*sixty, "2001:db8::/32")], egress=[rule(*sixty)])
    with pytest.raises(ApiError, match="RulesPerSecurityGroupLimitExceeded"):
        group.update(ingress=[rule(*sixty), rule("198.18.60.0/24")])


def test_the_same_rule_twice_is_refused(resources: Resources, group: Made) -> None:
    twice = [rule("198.18.16.0/24"), rule("198.18.17.0/24", "198.18.16.0/24", description="again")]
    with pytest.raises(ApiError, match="The same permission must not appear multiple times"):
        group.update(ingress=twice)
    group.update(ingress=[rule("198.18.16.0/24")], egress=[rule("198.18.16.0/24")])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cidrBlocks": ["198.18.16.1/24"]}, "is not a valid CIDR block"),
        ({"cidrBlocks": [7]}, "is not a valid CIDR block"),
        ({"ipv6CidrBlocks": ["198.18.16.0/24"]}, "is not a valid CIDR block"),
        ({"cidrBlocks": []}, "names nobody"),
        ({"prefixListIds": ["pl-1"]}, "is not rehearsed"),
        ({"protocol": "gre"}, "is not rehearsed"),
        ({"protocol": "-1"}, "from_port (443) and to_port (443) must both be 0"),
        ({"fromPort": None}, "is required"),
        ({"fromPort": 444}, "Invalid TCP port range"),
        ({"description": "ümlaut"}, "must be at most 255"),
        ({"cidrIpv4": "198.18.16.0/24"}, "is no property of ingress[0]"),
    ],
)
def test_an_odd_rule_is_refused(resources: Resources, change: Props, said: str) -> None:
    found = refusals(resources["SecurityGroup"], ingress=[{**rule("198.18.16.0/24"), **change}])
    assert any(said in reason for reason in found.values()), found


def test_what_a_change_of_rules_means(resources: Resources, group: Made) -> None:
    group.update(ingress=[rule("198.18.16.0/24"), rule("2001:db8::/32")])
    assert group.diff(ingress=[rule("2001:db8::/32"), rule("198.18.16.0/24")]).changes == ()
    changed = group.diff(ingress=[rule("198.18.17.0/24")])
    assert (changed.changes, changed.replaces) == (("ingress",), ())
    # Computed: a group that no longer says anything of its rules keeps them.
    assert group.diff(ingress=None).changes == ()


def test_groups_are_named_once_in_a_network(resources: Resources) -> None:
    made = make(resources["SecurityGroup"], name="web")
    assert made.outputs["description"] == "Managed by Pulumi"
    with pytest.raises(ApiError, match=r"InvalidGroup\.Duplicate: The security group 'web' already exists for VPC"):
        make(resources["SecurityGroup"], name="web")
    with pytest.raises(ApiError, match=r"InvalidVpcID\.NotFound"):
        make(resources["SecurityGroup"], vpcId="vpc-0")
    assert "can't begin with 'sg-'" in refusals(resources["SecurityGroup"], name="sg-web")["name"]
    assert made.diff(description="other").replaces == ("description",)


def test_a_group_in_use_stays(resources: Resources, group: Made) -> None:
    server = instance(resources, vpcSecurityGroupIds=[group.id])
    with pytest.raises(ApiError, match="DependencyViolation"):
        group.delete()
    server.delete()
    group.delete()
    assert group.read() is None


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({f"k{n}": "v" for n in range(51)}, "TagLimitExceeded"),
        ({"": "v"}, "1 to 128 characters"),
        ({"k" * 129: "v"}, "1 to 128 characters"),
        ({"aws:name": "v"}, "are reserved"),
        ({"k": "v" * 257}, "at most 256 characters"),
        ({"k": 1}, "at most 256 characters"),
    ],
)
@pytest.mark.parametrize("kind", ["KeyPair", "SecurityGroup", "Instance"])
def test_odd_tags_are_refused(resources: Resources, kind: str, tags: Props, said: str) -> None:
    needed = {"KeyPair": {"publicKey": "x"}, "Instance": {"ami": IMAGE, "instanceType": "t3.micro"}}.get(kind, {})
    assert said in refusals(resources[kind], **needed, tags=tags)["tags"]
    assert refusals(resources[kind], **needed, tags={"Name": "ö", "k": UNKNOWN, "k" * 128: "v" * 256}) == {}


@pytest.mark.parametrize("name", ["", "k" * 256, "schlüssel", " key"])
def test_an_odd_name_of_a_key_is_refused(resources: Resources, name: str) -> None:
    assert "1 to 255 ASCII characters" in refusals(resources["KeyPair"], publicKey="x", keyName=name)["keyName"]


# Instances


def test_an_instance_is_a_machine(resources: Resources, group: Made, calls: Calls) -> None:
    public = line(ed25519.Ed25519PrivateKey.generate())
    key = make(resources["KeyPair"], "operator", publicKey=public)
    made = instance(
        resources,
        keyName=key.id,
        vpcSecurityGroupIds=[group.id],
        associatePublicIpAddress=True,
        ipv6AddressCount=1,
        userData="#cloud-config\n",
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1},
        rootBlockDevice={"volumeSize": 16, "encrypted": True},
        tags={"Name": "origin"},
    )
    (boot,) = calls.of("boot")
    assert boot["public_keys"] == [public]
    assert boot["user_data"] == "#cloud-config\n"
    assert made.outputs["publicIp"] == boot["ipv4"] == "198.19.129.2"
    assert made.outputs["ipv6Addresses"] == [boot["ipv6"]] == ["2001:db8:a0:1::2"]
    assert made.outputs["instanceState"] == "running"
    assert made.outputs["metadataOptions"]["httpEndpoint"] == "enabled"
    assert made.outputs["rootBlockDevice"] | {"volumeId": ""} == {
        "volumeType": "gp3",
        "volumeSize": 16,
        "encrypted": True,
        "deleteOnTermination": True,
        "deviceName": "/dev/xvda",
        "volumeId": "",
    }
    made.delete()
    assert made.read() is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ami": "ami-0"}, r"InvalidAMIID\.NotFound: The image id '\[ami-0\]' does not exist"),
        ({"instanceType": "t4g.micro"}, "The architecture 'arm64' of the specified instance type does not match"),
        ({"subnetId": "subnet-0"}, r"InvalidSubnetID\.NotFound: The subnet ID 'subnet-0' does not exist"),
        ({"vpcSecurityGroupIds": ["sg-0"]}, r"InvalidGroup\.NotFound: The security group 'sg-0' does not exist"),
        ({"keyName": "nobody"}, r"InvalidKeyPair\.NotFound: The key pair 'nobody' does not exist"),
        ({"availabilityZone": "us-east-1z"}, "Invalid availability zone"),
        ({"region": "eu-central-1"}, r"InvalidAMIID\.NotFound"),
    ],
)
def test_what_ec2_refuses(resources: Resources, calls: Calls, change: dict[str, object], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        instance(resources, **change)
    assert not calls.of("boot")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instanceType": "t9.nano"}, "EC2 has no such type"),
        ({"userData": "x" * (16 * 1024 + 1)}, "limited to 16384 bytes: it has 16385"),
        ({"userDataBase64": base64.b64encode(b"x" * (16 * 1024 + 1)).decode()}, "limited to 16384 bytes"),
        ({"userDataBase64": "a"}, "expected a base64 string"),
        ({"userData": "x", "userDataBase64": "eA=="}, "conflicts with"),
        ({"metadataOptions": {"httpTokens": "maybe"}}, "must be one of optional, required"),
        ({"metadataOptions": {"httpPutResponseHopLimit": 65}}, "must be one of 1, 2"),
        ({"metadataOptions": {"nonesuch": 1}}, "is no property of metadataOptions"),
        ({"rootBlockDevice": {"volumeSize": 4}}, "smaller than the image's snapshot, expect size >= 8GB"),
        ({"rootBlockDevice": {"volumeType": "gp9"}}, "must be one of standard"),
        ({"rootBlockDevice": {"volumeType": "st1"}}, "can't be boot volumes"),
        ({"rootBlockDevice": {"volumeType": "gp2", "throughput": 125}}, "must not be configured with volume type gp2"),
        ({"rootBlockDevice": {"kmsKeyId": "arn:aws:kms:x"}}, "is not rehearsed"),
        ({"vpcSecurityGroupIds": ["sg-1"] * 6}, "SecurityGroupsPerInterfaceLimitExceeded"),
        ({"ipv6AddressCount": 2}, "0 and 1 are rehearsed"),
        ({"associatePublicIpAddress": False}, "is not rehearsed"),
        ({"launchTemplate": {"id": "lt-1"}}, "is not rehearsed"),
        ({"region": "mars-1"}, "invalid AWS Region: mars-1"),
    ],
)
def test_an_odd_instance_is_refused(resources: Resources, change: dict[str, object], said: str) -> None:
    found = refusals(resources["Instance"], **{"ami": IMAGE, "instanceType": "t3.micro", **change})
    assert any(said in reason for reason in found.values()), found


def test_unknown_values_are_taken_on_trust(resources: Resources) -> None:
    names = ("userData", "keyName", "vpcSecurityGroupIds", "subnetId", "metadataOptions", "rootBlockDevice", "ami")
    given = {"instanceType": UNKNOWN, **dict.fromkeys(names, UNKNOWN)}
    assert not refusals(resources["Instance"], **given)


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"ami": "ami-1"}, True),
        ({"keyName": "other"}, True),
        ({"subnetId": "subnet-1"}, True),
        ({"availabilityZone": "us-east-1b"}, True),
        ({"ipv6AddressCount": 1}, True),
        ({"rootBlockDevice": {"encrypted": True}}, True),
        ({"rootBlockDevice": {"volumeSize": 20}}, False),
        ({"userData": "other"}, False),
        ({"instanceType": "t3.small"}, False),
        ({"vpcSecurityGroupIds": ["sg-1"]}, False),
        ({"tags": {"a": "b"}}, False),
        ({"metadataOptions": {"httpTokens": "optional"}}, False),
    ],
)
def test_what_a_change_of_an_instance_means(resources: Resources, change: dict[str, object], replaces: bool) -> None:
    found = instance(resources).diff(**change)
    assert found.changes == tuple(change)
    assert found.replaces == (tuple(change) if replaces else ())


def test_user_data_replaces_where_it_is_told_to(resources: Resources) -> None:
    made = instance(resources, userData="first", userDataReplaceOnChange=True)
    assert made.diff(userData="second").replaces == ("userData",)


def test_changed_user_data_stops_and_starts(resources: Resources, calls: Calls) -> None:
    made = instance(resources, userData="first", ipv6AddressCount=1)
    first = made.update(tags={"a": "b"})
    assert not calls.of("off")
    second = made.update(userData="second")
    assert second["userData"] == "second"
    assert [call for call in calls.made if call[0] in ("on", "off", "move")] == [
        ("off", made.id),
        ("move", second["publicIp"]),
        ("on", made.id),
    ]
    assert made.diff(instanceType="t3.small").renews == ("publicIp", "publicDns")
    third = made.update(instanceType="t3.small")
    assert len({outputs["publicIp"] for outputs in (first, second, third)}) == 3
    assert first["ipv6Addresses"] == second["ipv6Addresses"] == third["ipv6Addresses"]


def test_an_instances_groups_change_in_place(resources: Resources, group: Made, calls: Calls) -> None:
    group.update(ingress=[rule("198.18.16.0/24")])
    made = instance(resources)
    made.update(vpcSecurityGroupIds=[group.id])
    rules = calls.rules[made.id]
    assert rules is not None
    assert rules.inbound[0].ports == (443, 443)


def test_of_what_is_left_out_within_an_object_the_cloud_keeps_its_own_idea(resources: Resources) -> None:
    root, metadata = {"volumeSize": 20, "encrypted": True}, {"httpTokens": "required", "httpPutResponseHopLimit": 1}
    made = instance(resources, rootBlockDevice=root, metadataOptions=metadata)
    assert made.diff(rootBlockDevice={"volumeSize": 20}, metadataOptions={"httpTokens": "required"}).changes == ()
    assert made.diff(rootBlockDevice=None, metadataOptions=None).changes == ()
    assert made.diff(rootBlockDevice={**root, "encrypted": False}).replaces == ("rootBlockDevice",)
    assert made.diff(rootBlockDevice={**root, "deleteOnTermination": False}).replaces == ()
    assert made.diff(metadataOptions={"httpTokens": "optional"}).changes == ("metadataOptions",)
    outputs = made.update(rootBlockDevice={"volumeSize": 24}, metadataOptions={"httpTokens": "optional"})
    assert outputs["rootBlockDevice"]["encrypted"] is True
    assert outputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert outputs["metadataOptions"]["httpTokens"] == "optional"


def test_user_data_that_is_no_longer_given_stays(resources: Resources, calls: Calls) -> None:
    made = instance(resources, userData="#cloud-config\n")
    assert made.diff(userData=None).changes == ()
    assert made.update(userData=None, tags={"a": "b"})["userData"] == "#cloud-config\n"
    assert [detail for kind, detail in calls.made if kind == "off"] == []
    encoded = base64.b64encode(b"#cloud-config\n# other\n").decode()
    outputs = made.update(userDataBase64=encoded)
    assert (outputs.get("userData"), outputs["userDataBase64"]) == (None, encoded)
    assert [detail for kind, detail in calls.made if kind == "off"] == [made.id]


def test_a_root_volume_does_not_shrink(resources: Resources) -> None:
    made = instance(resources, rootBlockDevice={"volumeSize": 20})
    with pytest.raises(ApiError, match="New size cannot be smaller"):
        made.update(rootBlockDevice={"volumeSize": 10})


def test_a_guarded_instance_is_not_terminated(resources: Resources) -> None:
    made = instance(resources, disableApiTermination=True)
    with pytest.raises(ApiError, match="OperationNotPermitted"):
        made.delete()
    made.update(disableApiTermination=False)
    made.delete()


def test_an_instance_that_does_not_boot_leaves_nothing(
    resources: Resources, account: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise machine.MachineFailed("no image")

    monkeypatch.setattr(machine, "create", fail)
    with pytest.raises(ApiError, match="no image"):
        instance(resources)
    assert not account.store.items("aws/instances")


def test_what_an_interrupted_create_left_is_found(resources: Resources, account: World) -> None:
    made = instance(resources)
    assert made.handler.adopt("origin", made.inputs) == (made.id, made.outputs)
    account.store.delete(machine.COLLECTION, made.id)
    assert made.handler.adopt("origin", made.inputs) is None
    assert not account.store.items("aws/instances")
