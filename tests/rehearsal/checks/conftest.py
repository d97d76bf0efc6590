"""One stack that is up, for all tests of the checks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rehearsal import stackfile
from rehearsal.checks.site import Site
from rehearsal.rehearsal import PROJECT, Rehearsal


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """The example stack in a home of its own; nothing is left of it afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REHEARSAL_HOME", str(tmp_path_factory.mktemp("home")))
        rehearsal = Rehearsal(stackfile.load(stackfile.find(PROJECT, "dev")), print, lambda event: None)
        try:
            rehearsal.prepare()
            result = rehearsal.up()
            assert result.ok, result.errors
            yield rehearsal
        finally:
            rehearsal.remove()


@pytest.fixture(scope="module")
def site(stack: Rehearsal) -> Iterator[Site]:
    """Its site, with its own release live again when the module's tests are over."""
    site = Site(stack)
    yield site
    site.put_back()
