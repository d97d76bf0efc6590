"""docs/changes.md is what the engine does, and holds what the project promises about changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import changes


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return changes.table(tmp_path_factory.mktemp("changes"))


def test_the_page_is_current(rows: dict[str, dict[str, str]]) -> None:
    assert changes.page(rows) == changes.PAGE.read_text(), "run `python -m docs.changes`"


def test_only_the_host_s_own_settings_touch_the_host(rows: dict[str, dict[str, str]]) -> None:
    strong = {changes.RESTART, changes.REPLACED}
    touching = {what for what, effects in rows.items() if strong & set(effects.values()) and what.startswith("`")}
    assert "`host.size`" in touching
    # The proxy comes with the first boot.
    assert {what for what in touching if not what.startswith("`host.")} <= {"`proxy.kind`"}


def test_what_goes_out_with_the_app_is_a_release_and_no_more(rows: dict[str, dict[str, str]]) -> None:
    released = {what: effects for what, effects in rows.items() if what.startswith(("`app.", "`secrets"))}
    assert {effect for effects in released.values() for effect in effects.values()} <= {
        changes.NOTHING,
        changes.RELEASE,
    }
    assert set(rows["a line of the app"].values()) == {changes.RELEASE}


def test_a_setting_that_is_missing_here_is_asked_for() -> None:
    (path, field, _), *_ = changes.settings_of("dev")
    with pytest.raises(LookupError, match=path):
        changes.changes_of(path, field, "text", {})


def test_a_run_that_failed_has_no_effect_to_tell(tmp_path: Path) -> None:
    stack = changes.stack_up("dev", tmp_path)
    with pytest.raises(RuntimeError, match="not in zone"):
        changes.effect(stack.changed({"site.hostname": "elsewhere.test"}))
    assert changes.effect(stack.changed({})) == changes.NOTHING
