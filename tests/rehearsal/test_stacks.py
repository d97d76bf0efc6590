"""The AWS stack, whole, through the command: up, unchanged, resized, and down to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal.cloud import daemon, network
from rehearsal.cloud.world import World
from tests.rehearsal.stacks import ROOT, write

pytestmark = pytest.mark.machines
LIMIT = 300  # seconds for any one command


@dataclass(frozen=True)
class Stack:
    """A stack file in a home of its own."""

    folder: Path
    file: Path

    @property
    def world(self) -> World:
        return World(self.folder / "home" / self.file.name.split(".")[1])

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rehearsal", command, "--stack", str(self.file), *arguments],
            env={**os.environ, "REHEARSAL_HOME": str(self.folder / "home")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def result(self, command: str) -> dict[str, Any]:
        """What a run did; it has to succeed."""
        done = self.run(command, "--json")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout)

    def resized(self, size: str) -> Stack:
        write(self.folder, {"host.size": size}, name="aws", based_on="aws")
        return self


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("aws")
    made = Stack(folder, write(folder, {}, name="aws", based_on="aws"))
    try:
        yield made
    finally:
        made.run("destroy")


def test_up_serves_through_the_edge(stack: Stack) -> None:
    outputs = stack.result("up")["outputs"]
    assert outputs["url"] == "https://example.org/"
    assert outputs["ipv4"].startswith("198.19.")
    assert outputs["ipv6"].startswith("2001:db8:a0:")
    page = stack.run("visit", "/")
    assert page.returncode == 0, page.stderr
    assert '<dd id="scheme">https</dd>' in page.stdout
    assert '<dd id="host">example.org</dd>' in page.stdout


def test_up_again_changes_nothing(stack: Stack) -> None:
    assert set(stack.result("up")["counts"]) == {"same"}


def test_a_resized_instance_moves_and_its_records_follow(stack: Stack) -> None:
    before = stack.result("preview")["outputs"]
    result = stack.resized("t3.small").result("up")
    assert "replace" not in result["counts"]
    after = result["outputs"]
    assert after["host_id"] == before["host_id"]
    assert (after["ipv4"] != before["ipv4"], after["ipv6"]) == (True, before["ipv6"])
    records = stack.world.store.items("cloudflare/records").values()
    assert {record["content"] for record in records if record["type"] == "A"} == {after["ipv4"]}
    assert stack.run("visit", "/").returncode == 0


def test_destroy_leaves_nothing(stack: Stack) -> None:
    world = stack.world
    assert set(stack.result("destroy")["counts"]) == {"delete"}
    assert not network.existing(world)
    assert not daemon.cgroup(world).exists()
    assert not world.runtime.exists()
    assert str(world.root) not in Path("/proc/self/mountinfo").read_text()
    assert not world.root.exists()
