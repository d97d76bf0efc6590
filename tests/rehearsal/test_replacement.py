"""A host is replaced while visitors come: the new one fails first, the old one serves, the next `up` moves over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal import stackfile
from rehearsal.checks.site import Site, changed, problem
from rehearsal.checks.trial import steady
from rehearsal.cloud import daemon, image, machine, mirror
from rehearsal.rehearsal import Rehearsal
from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.stacks import write

pytestmark = pytest.mark.machines
MOVED = {"dev": {"host": {"region": "ams3"}}, "aws": {"host": {"region": "eu-west-1"}}}  # no host can leave its region


@pytest.fixture(
    params=[("dev", "embedded"), ("aws", "embedded"), pytest.param(("dev", "pulumi"), marks=needs_pulumi)],
    ids="-".join,
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    based_on, engine = request.param
    folder = tmp_path_factory.mktemp("replaced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REHEARSAL_HOME", str(folder))
        file = write(folder, {"app.drain": 2}, name=based_on, based_on=based_on)
        rehearsal = Rehearsal(stackfile.load(file), print, lambda event: None, engine)
        try:
            rehearsal.prepare()
            result = rehearsal.up()
            assert result.ok, problem(result)
            yield rehearsal
        finally:
            rehearsal.remove()


def test_a_replaced_host_loses_no_request_even_if_the_new_one_fails_at_first(stack: Rehearsal) -> None:
    site = Site(stack)
    moved = MOVED[stack.stack.stack]
    before = stack.outputs()
    with steady(site, kept=False) as load:
        daemon.stop(stack.world, mirror.FRONT)
        failed = stack.up(moved)
        (error,) = [each for each in failed.errors if "the bootstrap did not finish; the end of its log" in each.text]
        # The official engine also says at the end that the update failed.
        assert len(failed.errors) == 1 or stack.engine_name == "pulumi"
        assert "Unable to fetch" in error.text or "Failed to fetch" in error.text
        assert error.text.rstrip().endswith("it tries again on this host")
        assert _records(stack) == {before["ipv4"]}
        assert len(stack.world.store.items(machine.COLLECTION)) == 2

        mirror.ensure(stack.world, image.ensure(stack.world.cache))
        done = stack.up(moved)
        assert done.ok, problem(done)
    after = stack.outputs()
    assert load["failures"] == []
    assert load["requests"] > 100
    assert _records(stack) == {after["ipv4"]} != {before["ipv4"]}
    assert [kept["ipv4"] for kept in stack.world.store.items(machine.COLLECTION).values()] == [after["ipv4"]]
    # Proven, then switched to, then waited for, and only then the old one goes.
    steps = [f"{step.op} {step.name}" for step in done.steps if not step.replaced]
    order = ["replace site-verified-handshake", f"update site-edge-{site.hostname}-a", "update site-edge-moved-over"]
    assert sorted(order, key=steps.index) == order
    host_gone = next(i for i, step in enumerate(done.steps) if (step.op, step.name) == ("delete", "site-host"))
    assert host_gone > next(i for i, step in enumerate(done.steps) if step.name == "site-edge-moved-over")
    assert changed(stack.preview(moved)) == []


def _records(stack: Rehearsal) -> set[str]:
    return {each["content"] for each in stack.world.store.items("cloudflare/records").values() if each["type"] == "A"}
