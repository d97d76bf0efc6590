"""What components.sdk hands out is what a plain import of the SDKs would have; the rest is late and not missing.

Each side runs in an interpreter of its own, since importing is what is looked at.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
TAKEN_APART = [
    f"{package}.{child}"
    for package in ("pulumi_cloudflare", "pulumi_digitalocean", "pulumi_aws.ec2")
    for child in ("_inputs", "outputs")
]

DESCRIBE = """
import importlib, inspect, json, sys
from pulumi import _types

def function(f):
    f = inspect.unwrap(getattr(f, "fget", None) or f)
    code = getattr(f, "__code__", None)
    if code is None:
        return type(f).__name__
    # Not its bytecode: the compiler words a call on a name differently when it has seen that name imported.
    body = repr((code.co_flags, code.co_names, code.co_varnames, code.co_consts))
    return [code.co_firstlineno, body, repr(f.__annotations__)]

def hints(cls):
    if _types.is_input_type(cls):
        return repr(sorted(_types.input_type_types(cls).items()))
    if _types.is_output_type(cls):
        return repr(sorted(_types.output_type_types(cls).items()))
    return repr(sorted(_types.resource_types(cls).items())) if hasattr(cls, "urn") else ""

def described(cls):
    return {
        "bases": [repr(base) for base in cls.__mro__],
        "members": {name: function(member) for name, member in sorted(vars(cls).items()) if callable(member)
                    or isinstance(member, property)},
        "annotations": repr(vars(cls).get("__annotations__")),
        "doc": cls.__doc__,
        "hints": hints(cls),
    }

def classes(names):
    found = {name: getattr(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2]) for name in names}
    return {name: described(cls) if inspect.isclass(cls) else function(cls) for name, cls in found.items()}
"""

ALONE = """
import sys
import components.sdk
out = {"deferred": [name for name in TAKEN_APART if type(sys.modules[name]).__name__ == "_ByClass"]}
exported = [getattr(components.sdk, name) for name in components.sdk.__all__]
out["classes"] = classes(f"{each.__module__}.{each.__qualname__}" for each in exported)
made = [f"{name}.{each}" for name in TAKEN_APART for each in vars(sys.modules[name])
        if inspect.isclass(vars(sys.modules[name])[each]) and vars(sys.modules[name])[each].__module__ == name]
out["classes"] |= classes(made)
out["names"] = {name: sorted(set(dir(sys.modules[name])) & sys.modules[name]._sources().keys()) for name in TAKEN_APART}
print(json.dumps(out))
"""

PLAIN = """
import sys
import pulumi_aws.ec2, pulumi_aws.ssm, pulumi_aws.vpc, pulumi_cloudflare, pulumi_digitalocean
wanted = json.loads(sys.stdin.read())
print(json.dumps({
    "classes": classes(wanted["classes"]),
    "names": {name: sorted(sys.modules[name].__all__) for name in TAKEN_APART},
}))
"""

LATE = """
import threading
import components.sdk
import pulumi_digitalocean
inputs, outputs = sys.modules["pulumi_digitalocean._inputs"], sys.modules["pulumi_digitalocean.outputs"]

unmade = "DatabaseClusterBackupRestore"
assert unmade not in vars(outputs)
seen = []
threads = [threading.Thread(target=lambda: seen.append(getattr(outputs, unmade))) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(seen) == 8 and len(set(seen)) == 1, seen

try:
    outputs.NoSuchThing
except AttributeError as error:
    assert "NoSuchThing" in str(error)
else:
    raise AssertionError("a name that is nowhere was found")

rule, droplet = components.sdk.FirewallInboundRuleArgs, components.sdk.Droplet
assert "DatabaseCluster" not in vars(pulumi_digitalocean)
assert pulumi_digitalocean.DatabaseCluster.__module__ == "pulumi_digitalocean.database_cluster"
assert pulumi_digitalocean.Droplet is droplet
assert pulumi_digitalocean.FirewallInboundRuleArgs is rule is inputs.FirewallInboundRuleArgs
assert getattr(pulumi_digitalocean.outputs, unmade) is seen[0]
assert type(inputs).__name__ == type(outputs).__name__ == "module"
assert set(outputs.__all__) <= vars(outputs).keys()
from pulumi_digitalocean import *
assert DropletSlug and VpcArgs
print("{}")
"""


def interpreted(script: str, *, given: str = "") -> dict[str, Any]:
    """What a script of its own interpreter prints."""
    text = f"TAKEN_APART = {TAKEN_APART}\n{DESCRIBE}\n{script}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        input=given,
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "LANG": "C.UTF-8"},
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return interpreted(ALONE)


@pytest.fixture(scope="module")
def plain(alone: dict[str, Any]) -> dict[str, Any]:
    return interpreted(PLAIN, given=json.dumps(alone))


def test_the_large_modules_are_taken_apart(alone: dict[str, Any]) -> None:
    assert alone["deferred"] == TAKEN_APART
    made = [name for name in alone["classes"] if name.rpartition(".")[0] in TAKEN_APART]
    assert 20 < len(made) < 200


def test_every_class_is_the_sdks_own(alone: dict[str, Any], plain: dict[str, Any]) -> None:
    assert plain["classes"].keys() == alone["classes"].keys()
    for name, described in alone["classes"].items():
        assert described == plain["classes"][name], name


@pytest.mark.parametrize("module", TAKEN_APART)
def test_no_class_is_missing(module: str, alone: dict[str, Any], plain: dict[str, Any]) -> None:
    assert alone["names"][module] == plain["names"][module]


def test_what_was_not_loaded_is_late_and_not_missing() -> None:
    interpreted(LATE)
