"""The pack as an engine drives it: served, asked about every resource of the real program, and refusing others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as messages
from pulumi.runtime.proto import analyzer_pb2_grpc as services
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from provisioning.ranges import FALLBACK
from tests.components.recorder import Recorder, Registered
from tests.test_program import ROOT, STACKS, configured, environment, program

__all__ = ["environment"]  # a fixture

PUBLISHED = {
    "cloudflare:index/getIpRanges:getIpRanges": {"ipv4Cidrs": list(FALLBACK.ipv4), "ipv6Cidrs": list(FALLBACK.ipv6)}
}
OPEN = {"inboundRules": [{"protocol": "tcp", "portRange": "443", "sourceAddresses": ["0.0.0.0/0"]}]}
FIREWALL = "digitalocean:index/firewall:Firewall"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture(scope="module")
def pack() -> Iterator[services.AnalyzerStub]:
    served = subprocess.Popen([sys.executable, "-u", ROOT / "policy"], stdout=subprocess.PIPE, text=True)
    assert served.stdout
    with grpc.insecure_channel(f"127.0.0.1:{int(served.stdout.readline())}") as channel:
        yield services.AnalyzerStub(channel)
    served.terminate()
    served.wait()


def struct(properties: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    # Archives and the like are no JSON; no rule looks at one.
    made.update(json.loads(json.dumps(properties, default=str)))
    return made


def asked(pack: services.AnalyzerStub, type_: str, properties: dict[str, Any]) -> list[tuple[str, str]]:
    """The policies that say something about one resource, and what."""
    answer = pack.Analyze(messages.AnalyzeRequest(type=type_, name="r", urn="urn:r", properties=struct(properties)))
    return [(said.policyName, said.message) for said in answer.diagnostics]


def asked_whole(pack: services.AnalyzerStub, recorder: Recorder) -> list[tuple[str, str]]:
    resources = [
        messages.AnalyzerResource(
            type=made.type, name=made.name, urn=made.name, properties=struct(recorder.state(made))
        )
        for made in recorder.resources
    ]
    answer = pack.AnalyzeStack(messages.AnalyzeStackRequest(resources=resources))
    return [(said.policyName, said.message) for said in answer.diagnostics]


@pytest.fixture(params=STACKS, ids=lambda path: path.name)
def made(request: pytest.FixtureRequest) -> Recorder:
    return program(configured(request.param), Recorder(answers=PUBLISHED))


def test_every_resource_of_the_program_passes(pack: services.AnalyzerStub, made: Recorder) -> None:
    assert {
        resource.name: said for resource in made.resources if (said := asked(pack, resource.type, resource.inputs))
    } == {}
    assert asked_whole(pack, made) == []


def test_what_a_preview_does_not_know_yet_stops_no_policy(pack: services.AnalyzerStub, made: Recorder) -> None:
    seen: set[str] = set()
    for resource in made.resources:
        if resource.type not in seen and resource.custom:
            seen.add(resource.type)
            for key in resource.inputs:
                assert asked(pack, resource.type, {**resource.inputs, key: UNKNOWN_STRING_VALUE}) == []


def test_a_record_out_of_the_proxy_is_refused(pack: services.AnalyzerStub, made: Recorder) -> None:
    for index, resource in enumerate(made.resources):
        if resource.type == "cloudflare:index/dnsRecord:DnsRecord":
            bare = Registered(resource.type, resource.name, {**resource.inputs, "proxied": False}, True)
            made.resources[index] = bare
            break
    ((policy, message),) = asked_whole(pack, made)
    assert policy == "records-proxied"
    assert "points at the host" in message


def test_the_ranges_are_those_that_the_user_configured(pack: services.AnalyzerStub) -> None:
    rule = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "198.51.100.0/24"}
    ((policy, message),) = asked(pack, INGRESS_RULE, rule)
    assert policy == "web-from-cloudflare-only"
    assert "443/tcp is open to 198.51.100.0/24" in message
    configured = struct({"ranges": ["198.51.100.0/24"]})
    for properties, said in ((configured, []), (struct({}), [policy])):
        wanted = {policy: messages.PolicyConfig(enforcementLevel=messages.MANDATORY, properties=properties)}
        pack.Configure(messages.ConfigureAnalyzerRequest(policyConfig=wanted))
        assert [name for name, _ in asked(pack, INGRESS_RULE, rule)] == said


def test_every_policy_is_mandatory_and_says_what_it_holds_to(pack: services.AnalyzerStub) -> None:
    policies = pack.GetAnalyzerInfo(empty_pb2.Empty()).policies
    assert len(policies) == 7
    assert {policy.enforcementLevel for policy in policies} == {messages.MANDATORY}
    assert all(policy.description.endswith(".") for policy in policies)


PROGRAM = f"""
import pulumi

class Standing(pulumi.ComponentResource):
    '''An engine asks about every resource by type and inputs; one without a provider will do.'''

Standing({FIREWALL!r}, "origin", {OPEN!r})
"""


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="pulumi is not on PATH: the real engine is not tried")
def test_the_real_engine_refuses_with_the_pack(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: trial\nruntime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}\n"
    )
    (tmp_path / "__main__.py").write_text(PROGRAM)
    own = {
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "none",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }

    def pulumi(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *words, "--non-interactive"]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True)

    assert pulumi("stack", "init", "trial").returncode == 0
    refused = pulumi("preview", "--policy-pack", ROOT / "policy")
    assert refused.returncode != 0
    assert "web-from-cloudflare-only" in refused.stdout
    assert "443/tcp is open to 0.0.0.0/0" in refused.stdout
    assert pulumi("preview").returncode == 0
