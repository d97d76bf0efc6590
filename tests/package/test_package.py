"""The package makes what the program makes, and shows other languages what it takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.errors import InputPropertiesError
from pulumi.provider.experimental.util import camel_case
from syrupy.assertion import SnapshotAssertion

from package.provider import NAME, Package
from tests.components.recorder import Recorder, Registered, run
from tests.provisioning.golden import Golden
from tests.test_program import DEV, ROOT, STACKS, configured, environment, program

__all__ = ["environment"]  # a fixture

VERSION = "1.2.3"
DATABASE = "postgres://canary"


class GoldenSchema(Golden):
    file_extension = "json"


def test_golden(snapshot: SnapshotAssertion) -> None:
    schema = json.dumps(json.loads(Package(VERSION).schema or ""), indent=2)
    assert schema == snapshot(extension_class=GoldenSchema, name="schema")


def sent(value: Any) -> Any:
    """Settings as the engine brings them: keys in camelCase, every number a float."""
    if isinstance(value, dict):
        return {camel_case(key): sent(part) for key, part in value.items()}
    if isinstance(value, list):
        return [sent(part) for part in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def inputs(stack: Path) -> dict[str, Any]:
    return {key.partition(":")[2]: sent(json.loads(text)) for key, text in configured(stack).items()}


def constructed(given: dict[str, Any]) -> Recorder:
    def consumer() -> None:
        made = Package(VERSION).construct("site", f"{NAME}:index:Site", given, pulumi.ResourceOptions())
        assert {"url", "ipv4", "deployKey"} <= set(made.state)

    return run(consumer)


def by_name(recorder: Recorder) -> list[Registered]:
    """What was registered, in an order of its own; files by their paths, which an asset does not compare by."""
    files = [
        replace(made, inputs={key: getattr(value, "path", value) for key, value in made.inputs.items()})
        for made in recorder.resources
    ]
    return sorted(files, key=lambda made: (made.name, made.type))


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_it_makes_the_resources_of_the_program(stack: Path) -> None:
    secrets = {"DATABASE_URL": DATABASE}
    theirs = by_name(constructed({**inputs(stack), "secrets": {"DATABASE_URL": pulumi.Output.secret(DATABASE)}}))
    ours = by_name(program({**configured(stack), "flask-origin:secrets": json.dumps(secrets)}))
    assert [resource for resource in theirs if resource.type != "flask-origin:index:Site"] == ours


def test_two_sites_of_one_program_are_named_apart() -> None:
    names = [resource.name for resource in constructed(inputs(DEV)).resources]
    assert all(name == "site" or name.startswith("site-") for name in names)


def changed(section: str, key: str, value: object) -> dict[str, Any]:
    given = inputs(DEV)
    given[section] = {**given[section], key: value}
    return given


def test_a_setting_that_is_refused_is_named_as_the_caller_wrote_it() -> None:
    with pytest.raises(InputPropertiesError) as refused:
        constructed(changed("host", "onBootstrapChange", "never"))
    (problem,) = refused.value.errors or []
    assert problem["property_path"] == "host.onBootstrapChange"
    assert '"never"' in problem["reason"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (changed("app", "source", "nowhere"), "nowhere"),
        (
            changed("app", "environment", {"COLOUR": "x"}) | {"secrets": {"COLOUR": DATABASE}},
            "is in app.environment too",
        ),
        (inputs(DEV) | {"secrets": {"9": DATABASE}}, "secrets.9"),
        (inputs(DEV) | {"secrets": {"SECRET_KEY": "canary"}}, "secrets.SECRET_KEY"),
    ],
)
def test_other_refusals_are_told_in_full_and_show_no_secret(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(Exception, match=re.escape(problem)) as refused:
        constructed(given)
    assert "canary" not in str(refused.value)


def test_names_of_secrets_that_come_late_are_refused() -> None:
    with pytest.raises(pulumi.RunError, match="write the names"):
        constructed(inputs(DEV) | {"secrets": pulumi.Output.from_input({"TOKEN": DATABASE})})


def test_it_installs_what_the_lock_pins() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    wanted = re.findall(r"^[a-z][^ ]*==[^ ]+", (ROOT / "package/requirements.txt").read_text(), re.MULTILINE)
    assert len(wanted) > 20
    assert [pin for pin in wanted if f"\n{pin} " not in f"\n{lock}"] == []


CONSUMER = """
import pulumi

pulumi.ComponentResource("flask-origin:index:Site", "shop", {"site": {"zone": "a.example", "hostname": "b.example"},
    "host": {"cloud": "digitalocean"}, "operator": {"ranges": ["198.51.100.7"]},
    "app": {"source": "app", "entrypoint": "hello:app"}}, remote=True)
"""


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="pulumi is not on PATH: the real engine is not tried")
def test_the_real_engine_reads_the_schema_and_makes_a_site(tmp_path: Path) -> None:
    # A checkout in which the engine finds installed already what it would install beside the package.
    checkout = tmp_path / "flask-origin"
    shutil.copytree(ROOT / "package", checkout / "package", ignore=shutil.ignore_patterns("venv"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / "package/venv"], check=True)
    (installed,) = checkout.glob("package/venv/lib/python3*/site-packages")
    (installed / "ours.pth").write_text(sysconfig.get_path("purelib"))
    for name in ("pyproject.toml", "wiring.py", "settings", "components", "provisioning"):
        (checkout / name).symlink_to(ROOT / name)
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: consumer\nruntime: {{name: python, options: {{virtualenv: {ROOT / '.venv'}}}}}\n"
        f"plugins: {{providers: [{{name: flask-origin, path: {checkout / 'package'}}}]}}\n"
    )
    (tmp_path / "__main__.py").write_text(CONSUMER)
    own = {
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "none",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }

    def pulumi(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *words], cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True
        )

    shown = json.loads(pulumi("package", "get-schema", checkout / "package").stdout)
    emitted = json.loads(Package(shown["version"]).schema or "")
    assert (shown["name"], set(shown["resources"])) == (NAME, {"flask-origin:index:Site"})
    assert set(shown["types"]) == set(emitted["types"])
    assert pulumi("stack", "init", "consumer", "--non-interactive").returncode == 0
    refused = pulumi("preview", "--non-interactive")
    assert refused.returncode != 0
    assert "property site.hostname with value" in refused.stdout
    assert '"b.example" is not in zone "a.example"' in refused.stdout
