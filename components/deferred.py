"""Loading single modules and classes of a provider SDK without the rest of it.

`import pulumi_cloudflare` runs an `__init__` that imports every resource of the provider, for a program that uses seven
of them. A provider module imports its package first, so the package is registered here unexecuted; its submodules then
load alone. What they share, the generated modules `_inputs` and `outputs`, holds thousands of classes: of these, the
ones that are asked for are made, from the SDK's own source. Any other name still resolves: the package's through its
real `__init__`, a class when it is first named. Nothing is missing, it is only late. See
docs/adr/0010-provider-modules-loaded-alone.md.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_SHARED = ("_inputs", "outputs")
_LARGE = 1_000_000
"""Bytes of source. Below, the cached bytecode of the whole module loads faster than single classes compile."""
_CLASS = re.compile(rb"\nclass (\w+)")


def defer_init(name: str) -> None:
    """Register package `name` with its search path set and its `__init__` not run, its shared classes unmade."""
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    loader = spec.loader
    package = importlib.util.module_from_spec(spec)

    def on_missing(attribute: str) -> Any:
        if importlib.util.find_spec(f"{name}.{attribute}") is not None:
            raise AttributeError(attribute)  # a submodule: the import system loads it itself
        del package.__dict__["__getattr__"]
        for shared in (sys.modules.get(f"{name}.{child}") for child in _SHARED):
            if isinstance(shared, _ByClass):
                shared.make_all()
        loader.exec_module(package)
        return getattr(package, attribute)

    package.__dict__["__getattr__"] = on_missing
    sys.modules[name] = package
    for shared in _SHARED:
        _defer_classes(package, shared)


def _defer_classes(package: ModuleType, child: str) -> None:
    name = f"{package.__name__}.{child}"
    spec = importlib.util.find_spec(name)
    if name in sys.modules or spec is None or not spec.origin or Path(spec.origin).stat().st_size < _LARGE:
        return
    module = importlib.util.module_from_spec(spec)
    module.__dict__["_classes"] = None
    module.__dict__["_making"] = threading.RLock()
    module.__class__ = _ByClass
    sys.modules[name] = module
    setattr(package, child, module)  # as the import system does


class _ByClass(ModuleType):
    """A generated module: a short head with its imports, then top-level classes only, each made when it is asked for.

    A class is compiled from its own lines and run in the module's namespace, with all that it names there: it is the
    class that a plain import would have made, only alone.
    """

    _classes: dict[str, tuple[int, bytes]] | None
    """First line (from 0) and source by class; None until any is asked for."""
    _making: threading.RLock

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._make(name)
        try:
            return vars(self)[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *self._sources()})

    @property
    def __all__(self) -> list[str]:
        """For `from ._inputs import *` in one of the SDK's modules: the classes that it names. For others: all."""
        importer = sys._getframe(1).f_globals
        if importer.get("__package__") == self.__package__ and "__path__" not in importer:
            return sorted(self._sources().keys() & _words(Path(importer["__file__"]).read_bytes()))
        self.make_all()
        return vars(self)["__all__"]

    def _sources(self) -> dict[str, tuple[int, bytes]]:
        with self._making:
            if self._classes is None:
                self._classes = self._read()
            return self._classes

    def _read(self) -> dict[str, tuple[int, bytes]]:
        """Runs the head, and takes the rest apart."""
        assert self.__file__
        text = Path(self.__file__).read_bytes()
        found = list(_CLASS.finditer(text))
        starts = []
        for each in found:
            above = text.rfind(b"\n", 0, each.start()) + 1
            starts.append(above if text.startswith(b"@", above) else each.start() + 1)
        head = text[: starts[0]] if starts else text
        exec(compile(head, self.__file__, "exec", dont_inherit=True), vars(self))
        del vars(self)["__all__"]
        classes, line, before = {}, 0, 0
        for each, start, end in zip(found, starts, [*starts[1:], len(text)], strict=True):
            line, before = line + text.count(b"\n", before, start), start
            classes[each[1].decode()] = line, text[start:end]
        return classes

    def _make(self, name: str) -> None:
        with self._making:
            sources = self._sources()
            if name in vars(self) or name not in sources:
                return
            line, source = sources[name]
            code = compile(source, self.__file__ or "", "exec", dont_inherit=True)
            exec(_moved(code, line), vars(self))
            for other in sources.keys() & _words(source):  # its annotations are looked up in this module by name
                self._make(other)

    def make_all(self) -> None:
        """What a plain import does, but for the classes that are in use already."""
        with self._making:
            made = {name: vars(self)[name] for name in self._sources() if name in vars(self)}
            assert self.__spec__ and self.__spec__.loader
            object.__setattr__(self, "__class__", ModuleType)
            self.__spec__.loader.exec_module(self)
            vars(self).update(made)


def _moved(code: CodeType, lines: int) -> CodeType:
    """The same code further down in its file, for tracebacks."""
    parts = (_moved(part, lines) if isinstance(part, CodeType) else part for part in code.co_consts)
    return code.replace(co_firstlineno=code.co_firstlineno + lines, co_consts=tuple(parts))


def _words(source: bytes) -> set[str]:
    return {word.decode() for word in set(re.findall(rb"\w+", source))}
