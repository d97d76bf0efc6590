"""The generated SDKs' classes: their names, nested types and assets make the way through the engine and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rehearsal.engine import Engine
from rehearsal.providers.base import Function, Property, Props, Resource, content_hash
from tests.rehearsal.engine.mem import good

PROGRAM = """
import json
import pulumi
import pulumi_command as command
import pulumi_digitalocean as do
import pulumi_random as random

account = do.Provider("account", token="dop_v1_canary")
host = do.Droplet(
    "host", image="debian-13-x64", size="s-1vcpu-1gb", region=do.Region.FRA1, ssh_keys=["1"], ipv6=True,
    user_data="#cloud-config", opts=pulumi.ResourceOptions(provider=account, ignore_changes=["ssh_keys"]),
)
firewall = do.Firewall(
    "firewall",
    droplet_ids=[host.id.apply(int)],
    inbound_rules=[
        do.FirewallInboundRuleArgs(
            protocol="tcp", port_range="443", source_addresses=["198.18.16.0/24", "2001:db8::/32"]
        )
    ],
    opts=pulumi.ResourceOptions(provider=account),
)
password = random.RandomPassword("password", length=64, special=False)
upload = command.remote.CopyToRemote(
    "upload",
    connection=command.remote.ConnectionArgs(host=host.ipv4_address, user="deploy", private_key=password.result),
    source=pulumi.FileAsset("file.txt"), remote_path="/tmp/x", triggers=[host.id],
)
pulumi.export("address", host.ipv4_address)
pulumi.export("ipv6", host.ipv6)
pulumi.export("rules", firewall.inbound_rules.apply(lambda rules: [rule.source_addresses for rule in rules]))
pulumi.export("password", password.result)
pulumi.export("length", password.length.apply(lambda length: type(length).__name__))
pulumi.export("regions", do.get_regions().regions[0].slug)
"""


class Recorded(Resource):
    """Takes whatever it gets and remembers it."""

    seen: ClassVar[dict[str, Props]] = {}
    computed: ClassVar[Props] = {}

    def __init__(
        self, token: str, outputs: Props, *, replacing: tuple[str, ...] = (), secret: tuple[str, ...] = ()
    ) -> None:
        self.token = token  # pyright: ignore[reportAttributeAccessIssue]
        self.outputs = {name: Property(secret=name in secret) for name in outputs}  # pyright: ignore[reportAttributeAccessIssue]
        self.inputs = {name: Property(replace=True) for name in replacing}  # pyright: ignore[reportAttributeAccessIssue]
        self._outputs = outputs

    def check(self, news: Props) -> tuple[Props, list[Any]]:
        return dict(news), []

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        self.seen[name] = inputs
        return "17", {**inputs, **self._outputs}

    def read(self, id: str, outputs: Props) -> Props | None:
        return outputs

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        return {**inputs, **self._outputs}

    def delete(self, id: str, outputs: Props) -> None: ...


class Regions(Function):
    token = "digitalocean:index/getRegions:getRegions"

    def __init__(self) -> None: ...

    def invoke(self, args: Props) -> Props:
        return {"id": "x", "regions": [{"slug": "fra1", "available": True, "features": [], "name": "", "sizes": []}]}


def test_they_make_the_way_and_back(tmp_path: Path) -> None:
    kinds = [
        Recorded("digitalocean:index/droplet:Droplet", {"ipv4Address": "198.19.1.2"}, replacing=("image", "userData")),
        Recorded("digitalocean:index/firewall:Firewall", {"status": "succeeded"}),
        Recorded("random:index/randomPassword:RandomPassword", {"result": "canary-1234"}, secret=("result",)),
        Recorded("command:remote:CopyToRemote", {}, replacing=("triggers",)),
    ]
    engine = Engine(
        tmp_path / "home",
        "project",
        "dev",
        {kind.token: kind for kind in kinds},
        {Regions.token: Regions()},
        parallel=1,
    )
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "file.txt").write_text("one")

    preview = engine.preview(tmp_path)
    assert sorted(good(preview)) == sorted(
        f"create {name}" for name in ("account", "firewall", "host", "password", "upload")
    )
    assert preview.outputs["address"] == "[unknown]"
    assert preview.outputs["password"] == "[secret]"
    assert preview.outputs["ipv6"] is True

    up = engine.up(tmp_path)
    assert len(good(up)) == 5
    assert up.outputs == {
        "address": "198.19.1.2",
        "ipv6": True,
        "rules": [["198.18.16.0/24", "2001:db8::/32"]],
        "password": "[secret]",
        "length": "int",
        "regions": "fra1",
    }
    assert Recorded.seen["host"]["sshKeys"] == ["1"]
    assert Recorded.seen["host"]["region"] == "fra1"
    assert Recorded.seen["firewall"]["dropletIds"] == [17]
    assert Recorded.seen["firewall"]["inboundRules"][0]["portRange"] == "443"
    upload = Recorded.seen["upload"]
    assert upload["connection"]["privateKey"] == "canary-1234"
    assert (content_hash(upload["source"]), upload["source"].path) == (
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "file.txt",
    )
    assert "canary" not in (tmp_path / "home" / "state.json").read_text()
    assert good(engine.up(tmp_path)) == []

    (tmp_path / "file.txt").write_text("two")
    (tmp_path / "__main__.py").write_text(PROGRAM.replace('ssh_keys=["1"]', 'ssh_keys=["2"]'))
    assert good(engine.preview(tmp_path)) == ["update upload"]
    (tmp_path / "__main__.py").write_text(PROGRAM.replace("#cloud-config", "#cloud-config 2"))
    changed = engine.preview(tmp_path)
    assert sorted(good(changed)) == [
        "delete host replaced",
        "delete upload replaced",
        "replace host",
        "replace upload",
        "update firewall",
    ]
    gone = good(engine.destroy())
    assert gone.index("delete upload") < gone.index("delete host") < gone.index("delete account")
    assert len(gone) == 5
