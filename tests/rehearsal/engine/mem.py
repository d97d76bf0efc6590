"""A provider whose cloud is a JSON file, and programs that use it: the smallest thing that the engine can drive."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from rehearsal.engine import Engine, Event, Result
from rehearsal.providers.base import ApiError, Function, Property, Props, Resource

# What every program begins with. `Thing("name", value=…)` takes any input; options are pulumi's.
PRELUDE = """
import pulumi
from pulumi import Alias, FileAsset, Output, ResourceOptions as Opts


class Thing(pulumi.CustomResource):
    def __init__(self, name, opts=None, token="mem:index:Thing", **inputs):
        outputs: ClassVar = {"serial": None, "key": None}
        super().__init__(token, name, {"value": None, "note": None, **outputs, **inputs}, opts)


class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None, token="mem:index:Group"):
        super().__init__(token, name, None, opts)


class Mem(pulumi.ProviderResource):
    def __init__(self, name, region, opts=None):
        super().__init__("mem", name, {"region": region}, opts)
"""


class Cloud:
    """Things by id. `fail` and `die` hold calls like "create a" that are to be refused or not survived."""

    def __init__(self, path: Path) -> None:
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.die: set[str] = set()
        self.before: Callable[[str], None] = lambda what: None  # hears of each call that changes something
        self.after: Callable[[str], None] = lambda what: None
        self._path = path
        self._lock = threading.Lock()
        self._content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"serial": 0, "things": {}}

    @property
    def things(self) -> dict[str, Props]:
        return self._content["things"]

    def names(self) -> dict[str, Props]:
        return {id.rpartition("-")[0]: thing for id, thing in self.things.items()}

    def call(self, what: str) -> None:
        self.calls.append(what)
        if not what.startswith(("read", "lookup")):
            self.before(what)
        if what in self.fail:
            raise ApiError(f"no {what} today")

    def serial(self) -> int:
        with self._lock:
            self._content["serial"] += 1
            return self._content["serial"]

    def save(self, what: str) -> None:
        with self._lock:
            self._path.write_text(json.dumps(self._content, default=str))
        if what in self.die:
            os._exit(9)
        self.after(what)


class Thing(Resource):
    token = "mem:index:Thing"
    inputs: ClassVar = {
        "value": Property(kind=object),
        "note": Property(),
        "count": Property(kind=int, default=1, choices=(1, 2, 3)),
        "pin": Property(kind=object, replace=True),
        "password": Property(secret=True),
    }
    outputs: ClassVar = {"serial": Property(kind=int), "key": Property(secret=True)}

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def create(self, name: str, inputs: Props) -> tuple[str, Props]:
        self._cloud.call(f"create {name}")
        serial = self._cloud.serial()
        id = f"{name}-{serial}"
        self._cloud.things[id] = {**inputs, "serial": serial, "key": f"key-of-{id}"}
        self._cloud.save(f"create {name}")
        return id, dict(self._cloud.things[id])

    def read(self, id: str, outputs: Props) -> Props | None:
        self._cloud.call(f"read {id}")
        return self._cloud.things.get(id)

    def update(self, id: str, old_outputs: Props, inputs: Props) -> Props:
        name = id.rpartition("-")[0]
        self._cloud.call(f"update {name}")
        kept = {"serial": old_outputs["serial"], "key": old_outputs["key"]}
        self._cloud.things[id] = {**inputs, **kept}
        self._cloud.save(f"update {name}")
        return dict(self._cloud.things[id])

    def delete(self, id: str, outputs: Props) -> None:
        name = id.rpartition("-")[0]
        self._cloud.call(f"delete {name}")
        self._cloud.things.pop(id, None)
        self._cloud.save(f"delete {name}")

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        # The newest: a replacement leaves an older one of the name.
        ids = [id for id in self._cloud.things if id.rpartition("-")[0] == name]
        return (ids[-1], self._cloud.things[ids[-1]]) if ids else None


class Secretive(Thing):
    """One that can't be looked up by what it was made from."""

    token = "mem:index:Secretive"

    def adopt(self, name: str, inputs: Props) -> tuple[str, Props] | None:
        return Resource.adopt(self, name, inputs)


class Lookup(Function):
    token = "mem:index:lookup"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def invoke(self, args: Props) -> Props:
        self._cloud.call(f"lookup {args['what']}")
        return {"answer": f"{args['what']}!", "numbers": [1, 2.5], "none": None}


class Stack:
    """A stack of one project in a folder: write a program, run it."""

    def __init__(self, folder: Path, *, parallel: int = 1) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.cloud = Cloud(folder / "cloud.json")
        self.events: list[Event] = []
        self.config: dict[str, Any] = {}
        self.secret_keys: set[str] = set()
        self.engine = Engine(
            self.home,
            "project",
            "dev",
            {kind.token: kind(self.cloud) for kind in (Thing, Secretive)},
            {Lookup.token: Lookup(self.cloud)},
            self.events.append,
            parallel=parallel,
        )

    def write(self, program: str) -> Path:
        source = self.folder / "program"
        source.mkdir(exist_ok=True)
        (source / "__main__.py").write_text(PRELUDE + program)
        return source

    def up(self, program: str | None = None) -> Result:
        source = self.write(program) if program is not None else self.folder / "program"
        self.cloud.calls.clear()
        return self.engine.up(source, self.config, self.secret_keys)

    def preview(self, program: str) -> Result:
        self.cloud.calls.clear()
        return self.engine.preview(self.write(program), self.config, self.secret_keys)

    def state_text(self) -> str:
        return (self.home / "state.json").read_text()


def ops(result: Result) -> list[str]:
    """Steps in words, without the stack itself and what stays as it is."""
    marks = ("replaced", "retained", "gone", "failed")
    return [
        " ".join([step.op, step.name, *(mark for mark in marks if getattr(step, mark))])
        for step in result.steps
        if step.op != "same" and step.type != "pulumi:pulumi:Stack"
    ]


def good(result: Result) -> list[str]:
    """The same, of a run that must have gone well."""
    assert result.errors == ()
    return ops(result)
