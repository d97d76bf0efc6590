"""One bootstrapped machine for all tests of what runs on a host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from tests.provisioning.origin_host import OriginHost, Site, boot
from tests.rehearsal.conftest import lay


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from lay(tmp_path_factory, "hosts")


@pytest.fixture(scope="session")
def operator_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private SSH key; its public half is beside it."""
    path = tmp_path_factory.mktemp("operator") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def host(world: World, operator_key: Path) -> Iterator[OriginHost]:
    """Bootstrapped, tools installed, nothing configured unless an earlier test did."""
    booted = boot(world, "host", public_key=operator_key.with_suffix(".pub").read_text().strip())
    try:
        booted.bootstrapped()
        booted.install_tools()
        yield booted
    finally:
        machine.destroy(world, "host")


@pytest.fixture(scope="session")
def site() -> Site:
    return Site.make()
