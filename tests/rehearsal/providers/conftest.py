"""An account: a world whose cloud is only its store. What is asked of edge, firewall and machines is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import providers
from rehearsal.cloud import edge, firewall, machine
from rehearsal.cloud.world import World
from rehearsal.providers.base import Function, Resource


class Calls:
    """What the handlers asked of the stand-in cloud, in order."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []
        self.rules: dict[str, firewall.Rules | None] = {}
        self.powered: set[str] = set()

    def of(self, kind: str) -> list[Any]:
        return [detail for made, detail in self.made if made == kind]


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    return World(tmp_path / "world")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    recorded = Calls()

    def create(world: World, id: str, **settings: Any) -> None:
        recorded.made.append(("boot", {"id": id, "rules": recorded.rules.get(id), **settings}))
        recorded.powered.add(id)
        world.store.put(machine.COLLECTION, id, {"state": "present", "ipv4": settings["ipv4"]})

    def destroy(world: World, id: str) -> None:
        recorded.made.append(("destroy", id))
        recorded.powered.discard(id)
        recorded.rules.pop(id, None)
        world.store.delete(machine.COLLECTION, id)

    def apply(world: World, id: str, rules: firewall.Rules | None) -> None:
        recorded.rules[id] = rules
        if rules is not None:
            firewall.ruleset({id: rules})  # refuses what nft would

    monkeypatch.setattr(machine, "create", create)
    monkeypatch.setattr(machine, "destroy", destroy)
    monkeypatch.setattr(machine, "running", lambda world, id: id in recorded.powered)
    monkeypatch.setattr(machine, "power_off", lambda world, id: recorded.made.append(("off", id)))
    monkeypatch.setattr(machine, "power_on", lambda world, id: recorded.made.append(("on", id)))
    monkeypatch.setattr(machine, "move", lambda world, id, ipv4: recorded.made.append(("move", ipv4)))
    monkeypatch.setattr(firewall, "apply", apply)
    monkeypatch.setattr(edge, "apply", lambda world: recorded.made.append(("edge", None)))
    yield recorded


@pytest.fixture
def resources(account: World, calls: Calls) -> dict[str, Resource]:
    """Handlers by the name of their class, such as Droplet."""
    return {type(handler).__name__: handler for handler in providers.resources(account).values()}


@pytest.fixture
def functions(account: World, calls: Calls) -> dict[str, Function]:
    """Handlers by the last part of their token, such as getZone."""
    return {token.rpartition(":")[2]: handler for token, handler in providers.functions(account).items()}
