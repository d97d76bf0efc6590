"""`application`: the app that the spec names, behind the one hop."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from functools import reduce
from pathlib import Path
from typing import Any

from origin_server import chunks, hop, spec


def load(entrypoint: str) -> hop.App:
    """The callable of `module:name`, of `module:factory(…)` with literal arguments, or of a file's `application`."""
    if entrypoint.endswith(".py"):
        path = Path(entrypoint).resolve()
        sys.path.insert(0, str(path.parent))
        found = importlib.util.spec_from_file_location(path.stem, path)
        assert found and found.loader
        module = importlib.util.module_from_spec(found)
        sys.modules[path.stem] = module
        found.loader.exec_module(module)
        return module.application
    module, _, expression = entrypoint.partition(":")
    tree = ast.parse(expression, mode="eval").body
    name = ast.unparse(tree.func if isinstance(tree, ast.Call) else tree)
    loaded: Any = reduce(getattr, name.split("."), importlib.import_module(module))
    if isinstance(tree, ast.Call):
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in tree.keywords if keyword.arg}
        return loaded(*map(ast.literal_eval, tree.args), **named)
    return loaded


_given = spec.read(os.environ[spec.VARIABLE])
application = hop.behind_one_hop(load(_given.entrypoint), _given.access_log)
if _given.server == "uwsgi":
    application = chunks.of_uwsgi(application)
elif _given.server == "granian":
    application = chunks.of_granian(application)
