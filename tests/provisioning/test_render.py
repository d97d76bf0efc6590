from __future__ import annotations

import ast
from pathlib import Path

import jinja2
import pytest

import provisioning
from provisioning.render import render


def test_an_undefined_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="ranges"):
        render("etc/origin/current/edge.nft.j2")


def test_an_unknown_file_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        render("etc/passwd")


def test_pulumi_is_imported_nowhere_in_provisioning() -> None:
    for path in Path(provisioning.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [
                name for name in names if name.split(".")[0] in ("pulumi", "components", "settings", "rehearsal")
            ]
