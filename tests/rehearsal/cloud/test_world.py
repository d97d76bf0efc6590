"""A world's store and names."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rehearsal.cloud.world import World, locked


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    return World(tmp_path / "home")


def test_objects_come_back_by_collection_and_id(world: World) -> None:
    odd = ["web", ".hidden", "a/b", "../up", "ssl:strict", "a.b", "é", "a b@c"]
    for id in odd:
        world.store.put("cloudflare/records", id, {"id": id})
    world.store.put("cloudflare", "other", {})
    assert world.store.items("cloudflare/records") == {id: {"id": id} for id in odd}
    assert set(world.store.items("cloudflare")) == {"other"}
    assert world.store.get("cloudflare/records", "a/b") == {"id": "a/b"}
    assert {path.parent for path in world.root.rglob("*.json")} == {
        world.root / "cloud/cloudflare",
        world.root / "cloud/cloudflare/records",
    }


def test_what_is_gone_is_none_and_may_go_again(world: World) -> None:
    world.store.put("zones", "z", {})
    world.store.delete("zones", "z")
    world.store.delete("zones", "z")
    assert world.store.get("zones", "z") is None
    assert world.store.items("zones") == {}
    with pytest.raises(ValueError, match="zones: an object needs an id"):
        world.store.put("zones", "", {})


def test_an_interrupted_write_leaves_the_old_object(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store.put("zones", "z", {"version": 1})

    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        world.store.put("zones", "z", {"version": 2})
    assert world.store.items("zones") == {"z": {"version": 1}}


def test_serials_are_never_given_twice(world: World) -> None:
    given: list[int] = []
    threads = [threading.Thread(target=lambda: given.append(world.store.serial("droplets"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 21))
    assert World(world.root).store.serial("droplets") == 21


def test_worlds_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    one, other = World(tmp_path / "one"), World(tmp_path / "other")
    assert one.namespace("edge") != other.namespace("edge")
    assert World(tmp_path / "other/../one").tag == one.tag
    assert len(one.tag) == 6


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(BlockingIOError), locked(tmp_path / "lock", wait=False):
        pass
    with locked(tmp_path / "lock", wait=False):
        pass
