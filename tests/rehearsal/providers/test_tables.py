"""The handlers' tables against the SDKs that the program is written with, and what the providers publish."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from pulumi import _types as types

from rehearsal.providers import ssh, tls
from rehearsal.providers.aws import groups, instance
from rehearsal.providers.base import Resource
from rehearsal.providers.digitalocean import firewall
from tests.rehearsal.providers.driving import refusals
from tests.rehearsal.providers.published import CONNECTION, METADATA, PUBLISHED, ROOT, Published

# Lets modules of the SDKs be imported without the whole of each, which takes seconds.
importlib.import_module("components.sdk")

SDK = {
    "SshKey": "pulumi_digitalocean.ssh_key",
    "Tag": "pulumi_digitalocean.tag",
    "Firewall": "pulumi_digitalocean.firewall",
    "Droplet": "pulumi_digitalocean.droplet",
    "DnsRecord": "pulumi_cloudflare.dns_record",
    "ZoneSetting": "pulumi_cloudflare.zone_setting",
    "OriginCaCertificate": "pulumi_cloudflare.origin_ca_certificate",
    "AuthenticatedOriginPullsCertificate": "pulumi_cloudflare.authenticated_origin_pulls_certificate",
    "AuthenticatedOriginPullsSettings": "pulumi_cloudflare.authenticated_origin_pulls_settings",
    "KeyPair": "pulumi_aws.ec2.key_pair",
    "SecurityGroup": "pulumi_aws.ec2.security_group",
    "Instance": "pulumi_aws.ec2.instance",
    "Command": "pulumi_command.remote",
    "CopyToRemote": "pulumi_command.remote",
    "LocalCommand": "pulumi_command.local",
    "PrivateKey": "pulumi_tls.private_key",
    "CertRequest": "pulumi_tls.cert_request",
    "SelfSignedCert": "pulumi_tls.self_signed_cert",
    "LocallySignedCert": "pulumi_tls.locally_signed_cert",
    "RandomPassword": "pulumi_random.random_password",
}
# Required by the provider, where the SDK leaves a door open to an alternative that is not rehearsed.
STRICTER = {
    "CertRequest": {"privateKeyPem"},
    "SelfSignedCert": {"privateKeyPem"},
    "LocallySignedCert": {"caPrivateKeyPem"},
    "Instance": {"ami", "instanceType"},
}
# Outputs of the SDK that nothing here can fill.
MISSING = {"RandomPassword": {"bcryptHash"}, "LocalCommand": {"assets", "archive"}}


def _class(handler: Resource, suffix: str = "") -> Any:
    """The SDK's class for it, or another of the same module."""
    name = handler.token.rpartition(":")[2]
    return getattr(importlib.import_module(SDK[type(handler).__name__]), name + suffix)


def _inputs(arguments: Any) -> dict[str, bool]:
    """Property names of an SDK's arguments, and whether each is required."""
    names = types.input_type_py_to_pulumi_names(arguments)
    parameters = list(inspect.signature(arguments.__init__).parameters.values())[1:]
    return {names[p.name]: p.default is inspect.Parameter.empty for p in parameters}


def test_every_handler_is_compared(resources: dict[str, Resource]) -> None:
    assert resources.keys() == SDK.keys()


@pytest.mark.parametrize("kind", SDK)
def test_inputs_are_the_sdks(kind: str, resources: dict[str, Resource]) -> None:
    handler, expected = resources[kind], _inputs(_class(resources[kind], "Args"))
    assert set(handler.inputs) == set(expected)
    required = {name for name, needed in expected.items() if needed} | STRICTER.get(kind, set())
    assert {name for name, row in handler.inputs.items() if row.required} == required


@pytest.mark.parametrize("kind", SDK)
def test_token_and_outputs_are_the_sdks(kind: str, resources: dict[str, Resource]) -> None:
    handler = resources[kind]
    cls = _class(handler)
    assert handler.token == cls.pulumi_type
    outputs = set(types.resource_types(cls)) - set(handler.inputs)
    assert set(handler.outputs) == outputs - MISSING.get(kind, set())


@pytest.mark.parametrize("kind", SDK)
def test_outputs_that_the_sdk_makes_secret_are(kind: str, resources: dict[str, Resource]) -> None:
    source = inspect.getsource(_class(resources[kind])._internal_init)
    line = next((line for line in source.splitlines() if "additional_secret_outputs" in line), "[]")
    secret = set(eval(line[line.index("[") : line.index("]") + 1])) - MISSING.get(kind, set())
    rows = {**resources[kind].inputs, **resources[kind].outputs}
    assert {name for name, row in rows.items() if row.secret} >= secret


@pytest.mark.parametrize("kind", SDK)
def test_an_unknown_property_is_refused_by_name(kind: str, resources: dict[str, Resource]) -> None:
    assert "is no property of" in refusals(resources[kind], nonesuch=1)["nonesuch"]


@pytest.mark.parametrize("kind", SDK)
def test_what_is_required_is_missed(kind: str, resources: dict[str, Resource]) -> None:
    required = {name for name, row in resources[kind].inputs.items() if row.required}
    said = refusals(resources[kind])
    assert {name for name, reason in said.items() if reason == "is required and was not given"} == required


@pytest.mark.parametrize("kind", SDK)
def test_a_wrong_type_is_refused(kind: str, resources: dict[str, Resource]) -> None:
    for name in resources[kind].inputs:
        assert name in refusals(resources[kind], **{name: object()}), name


@pytest.mark.parametrize("kind", SDK)
def test_what_is_not_rehearsed_is_refused_and_not_ignored(kind: str, resources: dict[str, Resource]) -> None:
    samples = {str: "x", int: 1, float: 1, bool: True, list: ["x"], dict: {"x": "y"}}
    for name in getattr(resources[kind], "refused", ()):
        row = resources[kind].inputs[name]
        assert isinstance(row.kind, type)
        assert "is not rehearsed" in refusals(resources[kind], **{name: samples[row.kind]})[name]


@pytest.mark.parametrize(
    ("table", "module", "arguments"),
    [
        (ssh.CONNECTION, "pulumi_command.remote", "ConnectionArgs"),
        (firewall.INBOUND, "pulumi_digitalocean._inputs", "FirewallInboundRuleArgs"),
        (firewall.OUTBOUND, "pulumi_digitalocean._inputs", "FirewallOutboundRuleArgs"),
        (instance.METADATA, "pulumi_aws.ec2._inputs", "InstanceMetadataOptionsArgs"),
        (instance.ROOT, "pulumi_aws.ec2._inputs", "InstanceRootBlockDeviceArgs"),
        (groups.RULE, "pulumi_aws.ec2._inputs", "SecurityGroupIngressArgs"),
        (groups.RULE, "pulumi_aws.ec2._inputs", "SecurityGroupEgressArgs"),
        (tls.SUBJECT, "pulumi_tls._inputs", "CertRequestSubjectArgs"),
        (tls.SUBJECT, "pulumi_tls._inputs", "SelfSignedCertSubjectArgs"),
    ],
)
def test_nested_tables_are_the_sdks(table: dict[str, Any], module: str, arguments: str) -> None:
    expected = _inputs(getattr(importlib.import_module(module), arguments))
    assert set(table) == set(expected)
    assert {name for name, row in table.items() if row.required} == {n for n, needed in expected.items() if needed}


def _compare(table: Any, published: Published) -> None:
    assert {name for name, row in table.items() if row.replace} == set(published.replaces.split()), published.source
    assert {name for name, row in table.items() if row.computed} == set(published.computed.split()), published.source


@pytest.mark.parametrize("kind", SDK)
def test_what_replaces_is_computed_or_has_a_default_is_the_providers(kind: str, resources: dict[str, Resource]) -> None:
    table, published = resources[kind].inputs, PUBLISHED[kind]
    _compare(table, published)
    assert {name: row.default for name, row in table.items() if row.default is not None} == published.defaults


@pytest.mark.parametrize(
    ("table", "published"),
    [(ssh.CONNECTION, CONNECTION), (instance.ROOT, ROOT), (instance.METADATA, METADATA)],
    ids=["connection", "root", "metadata"],
)
def test_so_are_nested_ones(table: dict[str, Any], published: Published) -> None:
    _compare(table, published)
    # What else has a default there is what the cloud chooses: the provider leaves it open.
    chosen = {name for name, row in table.items() if row.default is not None and not row.computed}
    assert {name: table[name].default for name in chosen} == {**published.defaults}


@pytest.mark.parametrize("kind", SDK)
def test_what_is_computed_may_be_left_out_and_all_else_is_a_change(kind: str, resources: dict[str, Resource]) -> None:
    """The real providers do so by their schema's word; here by the table's."""
    handler = resources[kind]
    for name, row in handler.inputs.items():
        if row.required or row.default is not None:
            continue
        given = {name: {"a": "b"} if row.kind is dict else ["x"] if row.kind is list else "x"}
        diff = handler.diff("id", given, {}, {})
        assert diff.changes == (() if row.computed else (name,)), name
        assert bool(diff.replaces) == (row.replace and not row.computed), name
