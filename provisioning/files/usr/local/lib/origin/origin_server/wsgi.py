"""`application`: the app that the spec names, behind the one hop."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
import traceback
from functools import reduce
from pathlib import Path
from typing import Any

from origin_server import chunks, hop, path, rate, spec, websocket


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


def loaded(entrypoint: str) -> hop.App:
    """The callable; what keeps it from loading is told the journal first.

    Servers tell it each in its own way, some once a process and then more of themselves. One write, so that no other
    process's lines come between; as errors (sd-daemon(3)), so that they can be found.
    """
    try:
        return load(entrypoint)
    except BaseException:
        lines = [spec.NOT_LOADED, *traceback.format_exc().splitlines()]
        os.write(2, "".join(f"<3>{line}\n" for line in lines).encode(errors="replace"))
        raise


_given = spec.read(os.environ[spec.VARIABLE])
application = websocket.or_refused(loaded(_given.entrypoint), _given.server)
if _limit := _given.rate_limit:
    _paths = _limit.pop("paths")
    application = rate.limited(application, rate.Meter(Path(_given.socket).with_name("rate"), **_limit), _paths)
application = hop.behind_one_hop(application, _given.access_log)
if _given.server == "uwsgi":
    application = path.of_apache(chunks.of_uwsgi(application))
elif _given.server == "granian":
    application = chunks.of_granian(application)
