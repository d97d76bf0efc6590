"""A world for the tests that boot machines: in a temporary folder, with the host's shared cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal.cloud import ground, preflight
from rehearsal.cloud.world import World
from rehearsal.rehearsal import CREDENTIALS


@pytest.fixture(scope="module", autouse=True)
def credentials() -> Iterator[None]:
    """Those of the stand-in clouds, and none of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DIGITALOCEAN_ACCESS_TOKEN", raising=False)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


def lay(factory: pytest.TempPathFactory, name: str) -> Iterator[World]:
    """A world that is ready for machines; nothing is left of it afterwards."""
    if problems := preflight.problems():
        pytest.fail("\n".join(problems), pytrace=False)
    laid = World(factory.mktemp(name))
    try:
        ground.ensure(laid, print)
        yield laid
    finally:
        ground.remove(laid)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all tests; what a test makes in it, it removes."""
    yield from lay(tmp_path_factory, "world")


@pytest.fixture
def second_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Another one beside it."""
    yield from lay(tmp_path_factory, "second")
