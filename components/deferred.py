"""Loading single modules of a provider SDK without the rest of it.

`import pulumi_cloudflare` runs an `__init__` that imports every resource of the provider (3.5 s and 165 MB for a
program that uses seven of them). A provider module imports its package first, so the package is registered here
unexecuted; its submodules then load alone. Any other name asked of the package still runs the real `__init__`:
nothing is missing, it is only late. See docs/adr/0010-provider-modules-loaded-alone.md.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import sys
from collections.abc import Iterator
from typing import Any


def defer_init(name: str) -> None:
    """Register package `name` with its search path set and its `__init__` not yet run."""
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)

    def on_missing(attribute: str) -> Any:
        if importlib.util.find_spec(f"{name}.{attribute}") is not None:
            raise AttributeError(attribute)  # a submodule: the import system loads it itself
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = on_missing
    sys.modules[name] = package


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For imports: the garbage collector neither runs meanwhile, nor looks at what is loaded by their end ever again.

    Modules stay until the process ends; walking through their classes over and over is a fifth of a preview's time.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once: by a second time there would be real garbage among it
            gc.freeze()
        if running:
            gc.enable()
