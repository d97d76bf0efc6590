"""Modules loaded without their package's `__init__` are the SDK's own, and nothing of the package is out of reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def python(code: str) -> str:
    """What a fresh interpreter prints: what is imported already can't be deferred."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_resource_loads_without_the_others() -> None:
    loaded = python(
        "import sys\n"
        "from components.sdk import DnsRecord\n"
        "print(DnsRecord.__module__, 'pulumi_cloudflare.dns_record' in sys.modules,"
        " 'pulumi_cloudflare.worker_script' in sys.modules, 'pulumi_aws.ec2.vpc' in sys.modules)"
    )
    assert loaded == "pulumi_cloudflare.dns_record True False False"


def test_any_other_name_still_comes_from_the_package_and_classes_stay_the_same() -> None:
    found = python(
        "from components.sdk import Droplet\n"
        "import pulumi_digitalocean\n"
        "print(pulumi_digitalocean.Droplet is Droplet, pulumi_digitalocean.DropletSlug.__name__)"
    )
    assert found == "True DropletSlug"


def test_a_name_that_is_nowhere_is_missed_as_usual() -> None:
    said = python(
        "import components.sdk, pulumi_digitalocean\n"
        "try: pulumi_digitalocean.Nonsense\n"
        "except AttributeError as error: print(error)"
    )
    assert said == "module 'pulumi_digitalocean' has no attribute 'Nonsense'"


def test_a_package_that_is_imported_already_is_left_alone() -> None:
    assert python("import pulumi_digitalocean as p\nimport components.sdk\nprint(hasattr(p, 'Domain'))") == "True"


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_leaves_the_sdks_alone_and_goes_on_as_before(before: bool) -> None:
    seen = python(
        "import gc\n"
        f"{'gc.enable()' if before else 'gc.disable()'}\n"
        "import components.sdk\n"
        "frozen = gc.get_freeze_count()\n"
        "from components.deferred import uncollected\n"
        "with uncollected(): more = [[] for _ in range(1000)]\n"
        "print(gc.isenabled(), frozen > 100_000, gc.get_freeze_count() == frozen)"
    )
    assert seen == f"{before} True True"
