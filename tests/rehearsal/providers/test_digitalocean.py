"""DigitalOcean's handlers: what they refuse and how, what a change means, and what reaches machines and firewalls."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rehearsal.cloud import firewall, machine
from rehearsal.cloud.world import World
from rehearsal.providers.base import UNKNOWN, ApiError, Resource
from rehearsal.providers.digitalocean import catalog
from tests.rehearsal.providers.conftest import Calls
from tests.rehearsal.providers.driving import Made, make, refusals

Resources = dict[str, Resource]


def public_key() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + " operator\n"


def droplet(resources: Resources, **more: object) -> Made:
    wanted = {"image": "debian-13-x64", "size": "s-1vcpu-1gb", "region": "fra1", "ipv6": True, **more}
    return make(resources["Droplet"], "origin", **wanted)


def guard(resources: Resources, **more: object) -> Made:
    rule = {"protocol": "tcp", "portRange": "443", "sourceAddresses": ["198.18.16.0/24", "2001:db8:cf00::/48"]}
    return make(resources["Firewall"], "origin", **{"inboundRules": [rule], **more})


@pytest.fixture
def tag(resources: Resources) -> Made:
    return make(resources["Tag"], name="origin")


# Droplets


def test_a_droplet_is_a_machine_with_its_addresses_and_keys(resources: Resources, calls: Calls) -> None:
    key = make(resources["SshKey"], "operator", publicKey=public_key())
    made = droplet(resources, sshKeys=[key.id], userData="#cloud-config\n", name="web-1")
    (boot,) = calls.of("boot")
    assert boot["hostname"] == "web-1"
    assert boot["user_data"] == "#cloud-config\n"
    assert boot["public_keys"] == [key.inputs["publicKey"].strip()]
    assert made.outputs["ipv4Address"] == boot["ipv4"] == "198.19.1.2"
    assert made.outputs["ipv6Address"] == boot["ipv6"] == "2001:db8:d0:1::2"
    assert made.outputs["status"] == "active"
    assert made.id.isdigit()
    assert made.outputs["dropletUrn"] == f"do:droplet:{made.id}"
    assert (made.outputs["vcpus"], made.outputs["memory"], made.outputs["disk"]) == (1, 1024, 25)
    assert made.outputs["priceMonthly"] == 6


def test_a_droplets_outputs_hold_the_hash_of_its_user_data_only(resources: Resources) -> None:
    made = droplet(resources, userData="#cloud-config\n")
    assert made.outputs["userData"] == hashlib.sha1(b"#cloud-config\n").hexdigest()
    assert (made.read() or {})["userData"] == made.outputs["userData"]


def test_a_droplet_without_ipv6_has_no_such_address(resources: Resources, calls: Calls) -> None:
    assert droplet(resources, ipv6=False).outputs["ipv6Address"] == ""
    assert calls.of("boot")[0]["ipv6"] is None


def test_without_a_name_each_one_gets_its_own(resources: Resources) -> None:
    names = {str(droplet(resources).outputs["name"]) for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("origin-") and len(name) == len("origin-") + 7 for name in names)


@pytest.mark.parametrize(
    ("property", "value", "said"),
    [
        ("size", "s-1vcpu-2tb", "You specified an invalid size for Droplet creation."),
        ("region", "mars1", "You specified an invalid region for Droplet creation."),
        ("image", "ubuntu-24-04-x64", "The image you specified is not rehearsed."),
        ("name", "under_score", "Only valid hostname characters are allowed."),
        ("name", "dash-", "Only valid hostname characters are allowed."),
        ("name", "x" * 256, "Only valid hostname characters are allowed."),
        ("userData", "x" * (64 * 1024 + 1), "User data is too long: 65537 bytes"),
        ("userData", "", "must not be empty"),
        ("tags", ["a b"], "tags may contain lowercase letters"),
        ("tags", ["x" * 256], "limit of 255 characters"),
        ("sshKeys", [""], "must be a non-empty string"),
        ("publicNetworking", False, "is not rehearsed"),
        ("ipv6", "yes", "must be bool, not str"),
    ],
)
def test_what_can_not_be_is_refused(resources: Resources, property: str, value: object, said: str) -> None:
    given = {"image": "debian-13-x64", "size": "s-1vcpu-1gb", property: value}
    found = refusals(resources["Droplet"], **given)
    assert said in next(reason for name, reason in found.items() if name.startswith(property))


def test_as_much_user_data_as_the_limit_allows_is_taken(resources: Resources) -> None:
    assert not refusals(
        resources["Droplet"], image="debian-13-x64", size="S-1VCPU-1GB", userData="x" * 64 * 1024, sshKeys=UNKNOWN
    )


def test_an_unknown_key_is_refused_by_its_name(resources: Resources, calls: Calls) -> None:
    with pytest.raises(ApiError, match=r"422 4711 are invalid key identifiers for Droplet creation\."):
        droplet(resources, sshKeys=["4711"])
    assert not calls.of("boot")


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"image": UNKNOWN}, True),
        ({"region": "ams3"}, True),
        ({"sshKeys": ["1"]}, True),
        ({"userData": "other"}, True),
        ({"monitoring": True}, True),
        ({"dropletAgent": False}, True),
        ({"ipv6": False}, True),
        ({"size": "s-2vcpu-2gb"}, False),
        ({"name": "other"}, False),
        ({"tags": ["other"]}, False),
        ({"gracefulShutdown": True}, False),
    ],
)
def test_what_a_change_of_a_droplet_means(resources: Resources, change: dict[str, object], replaces: bool) -> None:
    found = droplet(resources, userData="first").diff(**change)
    assert found.changes == tuple(change)
    assert found.replaces == (tuple(change) if replaces else ())


def test_no_change_is_none(resources: Resources) -> None:
    assert droplet(resources, tags=["a", "b"]).diff(tags=["b", "a"], size="S-1VCPU-1GB").changes == ()


def test_a_resize_switches_off_and_on(resources: Resources, calls: Calls) -> None:
    made = droplet(resources)
    outputs = made.update(size="s-2vcpu-2gb")
    assert [kind for kind, _ in calls.made if kind in ("on", "off")] == ["off", "on"]
    assert (outputs["size"], outputs["vcpus"], outputs["disk"]) == ("s-2vcpu-2gb", 2, 60)
    with pytest.raises(ApiError, match="smaller disk"):
        made.update(size="s-1vcpu-1gb")


def test_switching_ipv6_on_later_is_refused(resources: Resources) -> None:
    with pytest.raises(ApiError, match="can't be switched on in place here"):
        droplet(resources, ipv6=False).update(ipv6=True)


def test_a_deleted_droplet_is_gone(resources: Resources, calls: Calls) -> None:
    made = droplet(resources)
    made.delete()
    assert calls.of("destroy")
    assert made.read() is None
    made.delete()


def test_a_droplet_that_is_off_says_so(resources: Resources, calls: Calls) -> None:
    made = droplet(resources)
    calls.powered.clear()
    assert (made.read() or {})["status"] == "off"


def test_a_droplet_that_does_not_boot_leaves_nothing(
    resources: Resources, account: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise machine.MachineFailed("no image")

    monkeypatch.setattr(machine, "create", fail)
    with pytest.raises(ApiError, match="no image"):
        droplet(resources)
    assert not account.store.items("digitalocean/droplets")


def test_what_an_interrupted_create_left_is_found(resources: Resources, account: World) -> None:
    made = droplet(resources, tags=["a"])
    handler = resources["Droplet"]
    assert handler.adopt("origin", made.inputs) == (made.id, made.outputs)
    assert handler.adopt("other", made.inputs) is None
    # Killed before the machine was whole.
    account.store.delete(machine.COLLECTION, f"droplet-{made.id}")
    assert handler.adopt("origin", made.inputs) is None
    assert made.read() is None


# Tags and keys


def test_a_droplet_makes_the_tags_that_it_names(resources: Resources, account: World) -> None:
    droplet(resources, tags=["new"])
    assert account.store.items("digitalocean/tags").keys() == {"new"}


def test_a_tag_counts_what_carries_it(resources: Resources, tag: Made) -> None:
    droplet(resources, tags=["origin"])
    assert (tag.read() or {})["dropletsCount"] == 1


def test_a_tags_name_is_checked(resources: Resources) -> None:
    assert "tags may contain" in refusals(resources["Tag"], name="a.b")["name"]


def test_keys_are_parsed_and_unique(resources: Resources) -> None:
    line = public_key()
    key = make(resources["SshKey"], publicKey=line)
    assert key.outputs["fingerprint"].count(":") == 15
    assert key.diff(publicKey=line.strip()).changes == ()
    assert key.diff(publicKey=public_key()).replaces == ("publicKey",)
    with pytest.raises(ApiError, match="SSH Key is already in use on your account"):
        make(resources["SshKey"], "another", publicKey=line)
    for garbage in ("", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + line.split()[1], line + line):
        with pytest.raises(ApiError, match="Key invalid"):
            make(resources["SshKey"], publicKey=garbage)


def test_a_droplet_takes_a_key_by_its_fingerprint(resources: Resources, calls: Calls) -> None:
    key = make(resources["SshKey"], publicKey=public_key())
    droplet(resources, sshKeys=[key.outputs["fingerprint"]])
    assert calls.of("boot")[0]["public_keys"] == [key.inputs["publicKey"].strip()]


# Firewalls


def test_without_a_firewall_everything_is_open(resources: Resources, calls: Calls) -> None:
    droplet(resources)
    assert calls.of("boot")[0]["rules"] is None


def test_a_tagged_droplet_is_guarded_before_it_boots(resources: Resources, calls: Calls, tag: Made) -> None:
    guard(resources, tags=["origin"])
    droplet(resources, tags=["origin"])
    assert calls.of("boot")[0]["rules"] == firewall.Rules(
        inbound=(firewall.Rule(protocol="tcp", ports=(443, 443), networks=("198.18.16.0/24", "2001:db8:cf00::/48")),)
    )


def test_a_firewall_guards_by_id_and_adds_up_with_others(resources: Resources, calls: Calls, tag: Made) -> None:
    made = droplet(resources, tags=["origin"])
    first = guard(resources, tags=["origin"])
    ssh = {"protocol": "tcp", "portRange": "22", "sourceAddresses": ["198.18.67.10"]}
    everywhere = {"protocol": "udp", "portRange": "all", "destinationAddresses": ["0.0.0.0/0", "::/0"]}
    second = make(
        resources["Firewall"], "ssh", dropletIds=[int(made.id)], inboundRules=[ssh], outboundRules=[everywhere]
    )
    rules = calls.rules[f"droplet-{made.id}"]
    assert rules is not None
    assert [rule.ports for rule in rules.inbound] in ([(443, 443), (22, 22)], [(22, 22), (443, 443)])
    assert rules.outbound == (firewall.Rule(protocol="udp", ports=None, networks=("0.0.0.0/0", "::/0")),)
    second.delete()
    first.delete()
    assert calls.rules[f"droplet-{made.id}"] is None


def test_a_firewall_follows_tags_of_droplets_and_of_sources(resources: Resources, calls: Calls, tag: Made) -> None:
    make(resources["Tag"], name="worker")
    rule = {"protocol": "tcp", "portRange": "8000-9000", "sourceTags": ["worker"]}
    guard(resources, tags=["origin"], inboundRules=[rule])
    made = droplet(resources, tags=["origin"])
    worker = droplet(resources, tags=["worker"])
    rules = calls.rules[f"droplet-{made.id}"]
    assert rules is not None
    addresses = (worker.outputs["ipv4Address"], worker.outputs["ipv6Address"])
    assert rules.inbound == (firewall.Rule(protocol="tcp", ports=(8000, 9000), networks=addresses),)
    made.update(tags=[])
    assert calls.rules[f"droplet-{made.id}"] is None


def test_deleting_a_tag_takes_its_firewall_off(resources: Resources, calls: Calls, tag: Made) -> None:
    guarded = guard(resources, tags=["origin"])
    made = droplet(resources, tags=["origin"])
    tag.delete()
    assert calls.rules[f"droplet-{made.id}"] is None
    assert (guarded.read() or {})["tags"] == []


def test_a_firewalls_tags_and_droplets_must_exist(resources: Resources) -> None:
    with pytest.raises(ApiError, match="422 tag nobody does not exist"):
        guard(resources, tags=["nobody"])
    with pytest.raises(ApiError, match="422 droplet 1 not found"):
        guard(resources, dropletIds=[1])


def test_a_firewalls_name_is_unique(resources: Resources) -> None:
    guard(resources, name="web")
    with pytest.raises(ApiError, match="409 duplicate name"):
        guard(resources, name="web")


def test_the_order_of_rules_is_no_change(resources: Resources, tag: Made) -> None:
    rules = [
        {"protocol": "tcp", "portRange": port, "sourceAddresses": ["198.18.16.0/24", "198.18.17.0/24"]}
        for port in ("443", "22")
    ]
    made = guard(resources, inboundRules=rules)
    turned = [{**rule, "sourceAddresses": [*reversed(rule["sourceAddresses"])]} for rule in reversed(rules)]
    assert made.diff(inboundRules=turned).changes == ()
    assert made.diff(inboundRules=rules[:1]) == made.diff(inboundRules=rules[:1])
    assert made.diff(inboundRules=rules[:1]).changes == ("inboundRules",)
    assert made.diff(inboundRules=rules[:1]).replaces == ()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"protocol": "gre", "portRange": "1", "sourceAddresses": ["::/0"]}, "must be one of tcp, udp, icmp"),
        ({"protocol": "tcp", "sourceAddresses": ["::/0"]}, "`port_range` is required"),
        ({"protocol": "tcp", "portRange": "443-80", "sourceAddresses": ["::/0"]}, "invalid ports"),
        ({"protocol": "tcp", "portRange": "70000", "sourceAddresses": ["::/0"]}, "invalid ports"),
        ({"protocol": "tcp", "portRange": "443", "sourceAddresses": ["198.18.16.1/24"]}, "invalid address"),
        ({"protocol": "tcp", "portRange": "443", "sourceAddresses": [5]}, "must be a non-empty string"),
        ({"protocol": "tcp", "portRange": "443"}, "must specify at least one of sourceAddresses"),
        (
            {"protocol": "tcp", "portRange": "443", "sourceAddresses": ["::/0"], "action": "deny"},
            "must be one of allow",
        ),
        ({"protocol": "tcp", "portRange": "443", "sourceKubernetesIds": ["x"]}, "is not rehearsed"),
        (
            {"protocol": "tcp", "portRange": "443", "destinationAddresses": ["::/0"]},
            "is no property of inboundRules[0]",
        ),
        ("tcp/443", "must be an object"),
    ],
)
def test_an_odd_rule_is_refused(resources: Resources, rule: object, said: str) -> None:
    found = refusals(resources["Firewall"], inboundRules=[rule])
    assert any(said in reason and name.startswith("inboundRules[0]") for name, reason in found.items()), found


def test_icmp_needs_no_ports(resources: Resources) -> None:
    assert not refusals(resources["Firewall"], inboundRules=[{"protocol": "icmp", "sourceAddresses": ["::/0"]}])


def test_a_firewalls_limits(resources: Resources) -> None:
    rule = {"protocol": "tcp", "portRange": "443", "sourceAddresses": ["198.18.16.0/24"]}
    out = {"protocol": "tcp", "portRange": "443", "destinationAddresses": ["198.18.16.0/24"]}
    handler = resources["Firewall"]
    assert not refusals(handler, inboundRules=[rule] * 25, outboundRules=[out] * 25, tags=["a"] * 5)
    assert "at most 50 rules" in refusals(handler, inboundRules=[rule] * 26, outboundRules=[out] * 25)["inboundRules"]
    assert "at most 5" in refusals(handler, inboundRules=[rule], tags=["a"] * 6)["tags"]
    assert "at most 10" in refusals(handler, inboundRules=[rule], dropletIds=[1] * 11)["dropletIds"]
    assert refusals(handler)["inboundRules"] == "At least one rule must be specified"


# The account


def test_a_token_that_is_not_the_rehearsals_is_refused(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "dop_v1_wrong")
    with pytest.raises(ApiError, match="401 Unable to authenticate you"):
        droplet(resources)
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "rehearsal")
    droplet(resources)


def test_the_catalog_is_the_sdks() -> None:
    assert "s-1vcpu-1gb" in catalog.sizes()
    assert {"fra1", "nyc3"} <= set(catalog.regions())
    assert set(catalog._BASIC) <= set(catalog.sizes())
