"""One bootstrapped machine for all tests of what runs on a host."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning.proxies import Kind
from rehearsal.cloud import machine
from rehearsal.cloud.world import World
from tests.provisioning.origin_host import KINDS, OriginHost, Site, boot
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
def hosts(world: World, operator_key: Path) -> Iterator[Callable[[Kind], OriginHost]]:
    """One machine for each proxy: bootstrapped, tools installed, configured if an earlier test did."""
    booted: dict[Kind, OriginHost] = {}

    def host_with(proxy: Kind) -> OriginHost:
        if proxy not in booted:
            key = operator_key.with_suffix(".pub").read_text().strip()
            booted[proxy] = boot(world, f"{proxy}-host", proxy=proxy, public_key=key)
            booted[proxy].bootstrapped()
            booted[proxy].install_tools()
        return booted[proxy]

    try:
        yield host_with
    finally:
        for host in booted.values():
            machine.destroy(world, host.id)


@pytest.fixture(scope="session")
def host(hosts: Callable[[Kind], OriginHost]) -> OriginHost:
    """The one with Caddy."""
    return hosts("caddy")


@pytest.fixture(scope="module", params=KINDS)
def proxied(request: pytest.FixtureRequest, hosts: Callable[[Kind], OriginHost]) -> OriginHost:
    """Each of them in turn."""
    return hosts(request.param)


@pytest.fixture(scope="session")
def site() -> Site:
    return Site.make()
