"""The quick checks on a whole stack of every proxy and server. CI tries a few; `make test-matrix`, each pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.proxies import Kind
from rehearsal import stackfile
from rehearsal.rehearsal import Rehearsal
from tests.provisioning.test_servers_on_a_host import PAIRS, SERVERS
from tests.rehearsal.checks.table import passes
from tests.rehearsal.stacks import write

pytestmark = pytest.mark.machines

IN_CI = {("nginx", "gunicorn gthread"), ("apache", "uwsgi")}  # caddy with waitress: test_checks.py, in full


@pytest.fixture(scope="module")
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kind, Path]]:
    """A proxy, and the folder of its one stack, whose server changes from test to test."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REHEARSAL_HOME", str(folder / "home"))
        try:
            yield request.param, folder
        finally:
            for file in folder.glob("Pulumi.*.yaml"):
                stack_of(file).remove()


def stack_of(file: Path) -> Rehearsal:
    return Rehearsal(stackfile.load(file), print, lambda event: None)


@pytest.mark.parametrize(
    ("proxy", "server"),
    [
        pytest.param(proxy, server, marks=[] if (proxy, server) in IN_CI else pytest.mark.matrix)
        for proxy, server in PAIRS
    ],
    indirect=["proxy"],
)
def test_the_whole_table(proxy: tuple[Kind, Path], server: str) -> None:
    kind, folder = proxy
    stack = stack_of(write(folder, {"proxy.kind": kind, "app.server": SERVERS[server]}, name="pair"))
    passes(stack)
