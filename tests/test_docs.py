"""What docs/ tells people to type is understood, and what it says of servers and files is so."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from provisioning import app as provisioned
from provisioning import origin
from releasing import publish
from releasing.cli import parser
from settings import App, SettingsError, load
from tests.provisioning.origin_host import KINDS
from tests.provisioning.test_servers_on_a_host import SERVERS
from tests.settings.samples import VALID

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "releases.md").read_text()
COMMANDS = re.findall(r"^(?:ssh .* sudo )?release ([^#\n]*)", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_is_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)).command


def test_every_command_for_people_is_documented() -> None:
    (commands,) = re.findall(r"\{(\S+)\}", parser().format_usage().replace("\n", "").replace(" ", ""))
    assert {command.split()[0] for command in COMMANDS} == {*commands.split(",")} - {"deploy", "converge"}


def test_the_page_on_files_has_settings_that_load_and_code_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = dict(re.findall(r"```(yaml|python)\n(.*?)```", (DOCS / "files.md").read_text(), re.DOTALL))
    written = yaml.safe_load(blocks["yaml"])["config"]["flask-origin:app"]
    app = load({**VALID, "app": {**VALID["app"], **written}}).app
    assert app.error_page == "pages/down.html"
    assert app.static == {"/static": "shop/static", "/robots.txt": "shop/robots.txt"}
    assert app.uploads == ("/uploads",)
    monkeypatch.setenv("ORIGIN_SHARED", str(tmp_path))
    exec(blocks["python"], {"os": os, "Path": Path})
    assert (tmp_path / "uploads/a.png").exists()


def test_the_page_on_files_says_what_the_proxies_say() -> None:
    page = (DOCS / "files.md").read_text()
    for seconds in origin.MAX_AGE.values():
        assert f"max-age={seconds}" in page
    for name in re.findall(r"`([a-z]+[.-]\w+\.\w+)`", page):
        assert publish.immutable(name), name
    asked = {"entrypoint": "shop.web:app", "source": "x"}
    assert "shop/static" in provisioned.static(App.model_validate(asked), asked["entrypoint"])["/static"]


def test_the_table_of_servers_and_proxies_is_what_the_matrix_tries_and_the_settings_take() -> None:
    page = (DOCS / "servers.md").read_text()
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*", page, re.M)]
    kinds = header[1:-2]
    assert kinds == list(KINDS)
    servers = [yaml.safe_load(server.strip("`")) for server, *_ in rows]
    assert servers == list(SERVERS.values())
    for server, (_, *cells) in zip(servers, rows, strict=True):
        for kind, cell in zip(kinds, cells, strict=False):
            assert cell in ("✓", "no")
            written = {**VALID, "app": {**VALID["app"], "server": server}, "proxy": {"kind": kind}}
            with nullcontext() if cell == "✓" else pytest.raises(SettingsError):
                load(written)
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    sections = yaml.safe_load(example)["config"]
    load({**VALID, "app": {**VALID["app"], **sections["flask-origin:app"]}, "proxy": sections["flask-origin:proxy"]})
