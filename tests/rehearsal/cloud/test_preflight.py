"""What a person reads who starts a rehearsal where it can't run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rehearsal.cloud import daemon, preflight


def test_not_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    (problem,) = preflight.problems()
    assert "needs Linux" in problem
    assert "make unit" in problem


def test_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (problem,) = preflight.problems()
    assert problem.endswith("run it again with sudo.")


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(preflight, "KEYRING", Path("/"))
    lacking = {"systemd-nspawn", "nft"}
    monkeypatch.setattr(shutil, "which", lambda program: None if program in lacking else program)
    assert preflight.problems() == [
        "Missing: systemd-nspawn, nft. Install with: apt-get install nftables systemd-container"
    ]


def test_a_container_without_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(preflight, "KEYRING", Path("/"))
    monkeypatch.setattr(shutil, "which", lambda program: program)

    def refused(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 1, "", "unshare: unshare failed: Operation not permitted\n")

    monkeypatch.setattr(subprocess, "run", refused)
    monkeypatch.setattr(daemon, "cgroup_root", lambda: Path("/nowhere"))
    problems = preflight.problems()
    assert len(problems) == 3
    assert all("privileged" in problem for problem in problems)
    assert "Operation not permitted" in problems[0]


@pytest.mark.machines
def test_nothing_is_missing_where_machines_are_tested() -> None:
    assert preflight.problems() == []


@pytest.mark.machines
def test_those_that_begin_at_once_do_not_disturb_one_another() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: preflight._no_cgroup(), range(400)))
