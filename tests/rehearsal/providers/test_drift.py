"""What somebody changes behind the program's back: refresh finds it, a preview shows it, `up` mends it.

The whole program on a stand-in account: every handler is the real one, but for the commands on the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from docs.changes import Imagined
from rehearsal import providers, stackfile
from rehearsal.cloud.world import World
from rehearsal.engine import Engine
from rehearsal.providers.aws import groups, network
from rehearsal.providers.base import Props
from rehearsal.providers.cloudflare import zones
from rehearsal.rehearsal import CREDENTIALS, PROJECT
from tests.rehearsal.engine.mem import good
from tests.rehearsal.providers.conftest import Calls
from tests.rehearsal.stacks import WATCHERS

RECORDS, SETTINGS, CERTIFICATES = "cloudflare/records", "cloudflare/settings", "cloudflare/origin_certificates"


@dataclass
class Stack:
    """A stack that is up."""

    world: World
    engine: Engine
    config: dict[str, str]
    credentials: Mapping[str, str] = field(default_factory=lambda: CREDENTIALS)

    def run(self, command: Callable[..., Any], *arguments: Any) -> list[str]:
        with mock.patch.dict(os.environ, self.credentials):
            return good(command(*arguments))

    def up(self) -> list[str]:
        return self.run(self.engine.up, PROJECT, self.config)

    def preview(self) -> list[str]:
        return self.run(self.engine.preview, PROJECT, self.config)

    def refresh(self) -> list[str]:
        return self.run(self.engine.refresh)

    def kept(self, collection: str) -> dict[str, Any]:
        return self.world.store.items(collection)

    def change(self, collection: str, wanted: Callable[[dict[str, Any]], bool], **outputs: Any) -> None:
        """As if by hand in the cloud's console; `outputs` are the object's new properties."""
        ((id, object),) = [(id, each) for id, each in self.kept(collection).items() if wanted(each["outputs"])]
        facts = {name: value for name, value in outputs.items() if name in object}
        self.world.store.put(collection, id, {**object, **facts, "outputs": {**object["outputs"], **outputs}})


def laid(name: str, folder: Path, world: World) -> Stack:
    """A stack before its first `up`."""
    for zone in ("example.com", "example.org"):
        zones.seed_zone(world, zone)
    handlers = {
        token: type("Made", (Imagined, type(real)), {})(world) if token.startswith("command:remote") else real
        for token, real in providers.resources(world).items()
    }
    file = stackfile.load(stackfile.find(PROJECT, name), environ={})
    engine = Engine(folder / "engine", "flask-origin", name, handlers, providers.functions(world))
    return Stack(world, engine, dict(file.config))


def stand(name: str, folder: Path, world: World) -> Stack:
    stack = laid(name, folder, world)
    stack.up()
    stack.refresh()  # a tag counts the droplets that were made after it
    assert stack.refresh() == []
    return stack


@pytest.fixture
def stack(tmp_path: Path, account: World, calls: Calls) -> Stack:
    return stand("dev", tmp_path, account)


def drifted(stack: Stack, found: str, mended: str) -> None:
    """Refresh finds exactly this, preview and `up` do exactly that, and then there is rest."""
    assert found in stack.refresh()
    assert mended in stack.preview()
    assert mended in stack.up()
    assert stack.refresh() == []
    assert stack.preview() == []


def test_nobody_looks_unless_asked(stack: Stack) -> None:
    stack.change(RECORDS, lambda it: (it["name"], it["type"]) == ("example.com", "A"), content="198.51.100.7")
    assert stack.preview() == []


def test_a_record_that_was_pointed_elsewhere(stack: Stack) -> None:
    (before,) = {it["content"] for it in stack.kept(RECORDS).values() if it["type"] == "A"}
    stack.change(RECORDS, lambda it: (it["name"], it["type"]) == ("example.com", "A"), content="198.51.100.7")
    drifted(stack, "refresh site-edge-example.com-a", "update site-edge-example.com-a")
    assert {it["content"] for it in stack.kept(RECORDS).values() if it["type"] == "A"} == {before}


def test_a_record_that_was_taken_off_the_proxy(stack: Stack) -> None:
    stack.change(RECORDS, lambda it: (it["name"], it["type"]) == ("www.example.com", "AAAA"), proxied=False)
    drifted(stack, "refresh site-edge-www.example.com-aaaa", "update site-edge-www.example.com-aaaa")
    assert all(it["proxied"] for it in stack.kept(RECORDS).values())


def test_a_record_that_was_deleted(stack: Stack) -> None:
    (id,) = [id for id, it in stack.kept(RECORDS).items() if (it["name"], it["type"]) == ("example.com", "A")]
    stack.world.store.delete(RECORDS, id)
    drifted(stack, "refresh site-edge-example.com-a gone", "create site-edge-example.com-a")


def test_ssl_that_was_made_flexible(stack: Stack) -> None:
    stack.change(SETTINGS, lambda it: it["settingId"] == "ssl", value="flexible")
    drifted(stack, "refresh site-edge-ssl", "update site-edge-ssl")
    assert {it["value"] for it in stack.kept(SETTINGS).values() if it["setting_id"] == "ssl"} == {"strict"}


def test_origin_pulls_that_were_switched_off(stack: Stack) -> None:
    stack.change("cloudflare/origin_pulls", lambda it: True, enabled=False)
    drifted(stack, "refresh site-pulls-enabled", "update site-pulls-enabled")
    assert [it["enabled"] for it in stack.kept("cloudflare/origin_pulls").values()] == [True]


def test_a_door_that_was_opened(stack: Stack) -> None:
    ((id, firewall),) = stack.kept("digitalocean/firewalls").items()
    rules = firewall["outputs"]["inboundRules"]
    opened = [*rules, {"protocol": "tcp", "portRange": "8080", "sourceAddresses": ["0.0.0.0/0", "::/0"]}]
    stack.change("digitalocean/firewalls", lambda it: True, inboundRules=opened)
    drifted(stack, "refresh site-host-firewall", "update site-host-firewall")
    mended = stack.kept("digitalocean/firewalls")[id]
    assert mended["outputs"]["inboundRules"] == rules
    assert mended["inbound"] == firewall["inbound"]


def test_a_certificate_that_was_revoked(stack: Stack) -> None:
    (before,) = stack.kept(CERTIFICATES)
    stack.world.store.delete(CERTIFICATES, before)
    drifted(stack, "refresh site-certificate gone", "create site-certificate")
    assert [*stack.kept(CERTIFICATES)] != [before]


@pytest.fixture
def on_aws(tmp_path: Path, account: World, calls: Calls) -> Stack:
    return stand("aws", tmp_path, account)


def _by_hand(stack: Stack, change: Callable[[list[Props]], list[Props]]) -> list[Props]:
    """What somebody does to the way in of the only group that the stack made; what it was before."""
    ((id, group),) = [(id, it) for id, it in stack.kept(network.GROUPS).items() if it["name"] != "default"]
    before = group["outputs"]
    groups.SecurityGroup(stack.world).update(id, before, {"ingress": change(before["ingress"])})
    return before["ingress"]


def _ingress(stack: Stack) -> list[Props]:
    return next(it["outputs"]["ingress"] for it in stack.kept(network.GROUPS).values() if it["name"] != "default")


@pytest.mark.parametrize(
    "change",
    [
        lambda rules: [*rules, {"protocol": "tcp", "fromPort": 8080, "toPort": 8080, "cidrBlocks": ["0.0.0.0/0"]}],
        lambda rules: [{**rules[0], "cidrBlocks": ["0.0.0.0/0"]}, *rules[1:]],
        lambda rules: rules[1:],
    ],
    ids=["added", "widened", "deleted"],
)
def test_a_rule_of_a_security_group(on_aws: Stack, change: Callable[[list[Props]], list[Props]]) -> None:
    before = _by_hand(on_aws, change)
    assert _ingress(on_aws) != before
    drifted(on_aws, "refresh site-host-firewall", "update site-host-firewall")
    assert _ingress(on_aws) == before


@pytest.mark.parametrize(
    ("collection", "outputs", "name"),
    [(RECORDS, {"content": "198.51.100.7"}, "example.com-a"), (SETTINGS, {"value": "flexible"}, "ssl")],
)
def test_the_zone_is_mended_on_aws_too(on_aws: Stack, collection: str, outputs: Props, name: str) -> None:
    hostname = next(it["outputs"]["name"] for it in on_aws.kept(RECORDS).values())
    name = name.replace("example.com", hostname)
    on_aws.change(
        collection,
        lambda it: it.get("settingId") == "ssl" or (it.get("name"), it.get("type")) == (hostname, "A"),
        **outputs,
    )
    drifted(on_aws, f"refresh site-edge-{name}", f"update site-edge-{name}")


def test_a_certificate_revoked_on_aws(on_aws: Stack) -> None:
    (before,) = on_aws.kept(CERTIFICATES)
    on_aws.world.store.delete(CERTIFICATES, before)
    drifted(on_aws, "refresh site-certificate gone", "create site-certificate")
    assert [*on_aws.kept(CERTIFICATES)] != [before]


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("dev", "403 You are not authorized to perform this operation"),
        ("aws", "UnauthorizedOperation: You are not authorized to perform this operation"),
    ],
)
def test_who_may_only_read_is_shown_all_and_changes_nothing(
    name: str, refusal: str, tmp_path: Path, account: World, calls: Calls
) -> None:
    stack = laid(name, tmp_path, account)
    watching = replace(stack, credentials=WATCHERS)
    assert "create site-host" in watching.preview()
    before = _everything(account)  # which AWS's own networks are in, once somebody looked
    assert refusal in _refused(watching)
    assert _everything(account) == before
    stack.up()
    stack.refresh()
    stack.change(RECORDS, lambda it: it["type"] == "A" and not it["name"].startswith("www."), content="198.51.100.7")
    before = _everything(account)
    assert [word for word in watching.refresh() if word.endswith("-a")]
    assert [word for word in watching.preview() if word.endswith("-a")]
    assert "Authentication error (10000)" in _refused(watching)
    assert _everything(account) == before
    stack.up()
    assert stack.preview() == []


def _refused(stack: Stack) -> str:
    with mock.patch.dict(os.environ, stack.credentials):
        result = stack.engine.up(PROJECT, stack.config)
    assert not result.ok
    return "\n".join(error.text for error in result.errors)


def _everything(world: World) -> dict[Path, str]:
    return {path: path.read_text() for path in (world.root / "cloud").rglob("*.json")}
