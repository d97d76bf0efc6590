"""Records that were there before the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import providers
from rehearsal.cloud import edge
from rehearsal.cloud.world import World
from rehearsal.engine import Engine
from rehearsal.providers.account import TOKEN
from rehearsal.providers.cloudflare import zones
from tests.rehearsal.engine.mem import good

IMPORTED = """
from components.sdk import DnsRecord

DnsRecord(
    "edge-example.com-a", zone_id="{zone}", name="example.com", type="A", content="203.0.113.9", ttl=1, proxied=True
)
"""
PROGRAM = """
import pulumi
from components.edge import Edge, EdgeArgs

class Nothing(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("test:index:Nothing", "nothing")

Edge(
    "edge",
    EdgeArgs(
        zone_id="{zone}",
        hostnames=["example.com"],
        ipv4="198.19.1.2",
        ipv6=None,
        host_id="1",
        drain=0,
        zone_settings={{}},
    ),
    before=Nothing(),
    after=[],
)
"""


def test_a_record_that_was_imported_under_its_name_is_moved_and_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pulumi import` puts it at the top of the stack, whatever parent the program gives it."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    monkeypatch.setattr(edge, "apply", lambda world: None)
    world = World(tmp_path / "world")
    zone = zones.seed_zone(world, "example.com")
    engine = Engine(tmp_path / "engine", "flask-origin", "dev", providers.resources(world), providers.functions(world))
    for program in (IMPORTED, PROGRAM):
        (tmp_path / "__main__.py").write_text(program.format(zone=zone))
        done = good(engine.up(tmp_path))
    assert [step for step in done if "example.com" in step] == ["update edge-example.com-a"]
    (record,) = world.store.items("cloudflare/records").values()
    assert (record["content"], record["outputs"]["comment"]) == ("198.19.1.2", "flask-origin/dev")
