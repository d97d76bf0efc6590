"""The very commands of the workflows, run with the official engine on a stand-in cloud that only keeps books."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rehearsal.cloud import network
from rehearsal.cloud.world import World
from rehearsal.plugins import home
from rehearsal.providers.cloudflare import zones
from rehearsal.rehearsal import CREDENTIALS
from tests.ci.test_workflows import ROOT, commands
from tests.rehearsal.needs import needs_pulumi
from tests.rehearsal.plugins.scenario import Scenario
from tests.rehearsal.stacks import WATCHERS

pytestmark = needs_pulumi

CANARY = "canary-of-the-app-3f9a"


@dataclass
class Job:
    """A checkout on a runner; `log` is everything that its jobs printed."""

    scenario: Scenario
    cloud: Path
    environment: dict[str, str]
    log: str = ""

    def pulumi(self, *words: str) -> None:
        command = ["pulumi", *words, "--stack", "dev", "--non-interactive"]
        done = subprocess.run(command, cwd=self.scenario.checkout, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, target: str) -> int:
        """The workflows' command for this target, word for word; its outcome goes to the log alone, as `up`'s does."""
        (command,) = {each for each in commands() if f"make {target} STACK=" in each}
        for forge in ("pull-request", "issue"):
            command = command.replace(f"report.py {forge} ", "report.py log ")
        credentials = CREDENTIALS if target == "up" else WATCHERS
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.scenario.checkout,
            env={**self.environment, **credentials},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log += done.stdout
        return done.returncode

    def change_by_hand(self) -> None:
        for path in (self.cloud / "cloudflare/records").glob("*.json"):
            record = json.loads(path.read_text())
            record.update(proxied=False)
            record["outputs"].update(proxied=False)
            path.write_text(json.dumps(record))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    scenario = Scenario(tmp_path)
    shutil.copytree(ROOT / ".ci", scenario.checkout / ".ci")
    monkeypatch.setattr(home, "MODULE", "tests.rehearsal.plugins.on_paper")
    home.lay(tmp_path / "pulumi")
    monkeypatch.setattr("rehearsal.cloud.world.RUNTIME", tmp_path / "run")
    world = World(tmp_path / "home" / "dev")
    zones.seed_zone(world, "example.com")
    (tmp_path / "state").mkdir()
    own = {
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "open sesame to all",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_STACK": "dev",
        "REHEARSAL_HOME": str(tmp_path / "home"),
        home.WORLD: str(world.root),
    }
    job = Job(scenario, world.root / "cloud", {**os.environ, **own})
    job.pulumi("stack", "init")
    job.pulumi("config", "set", "--secret", "--path", "flask-origin:secrets.API_KEY", CANARY)
    return job


def test_a_change_is_previewed_made_and_watched_over(job: Job) -> None:
    assert job.run("preview") != 0, "the stand-in's edge has other addresses than Cloudflare"
    assert "web-from-cloudflare-only" in job.log
    edge = [*network.EDGE_RANGES_V4, *network.EDGE_RANGES_V6]
    job.scenario.replace("policy/__main__.py", '"default": list(FALLBACK.all)', f'"default": {edge}')
    assert job.run("preview") == 0, job.log
    assert not (job.cloud / "cloudflare/records").exists(), "a preview makes nothing"
    assert job.run("up") == 0, job.log
    assert job.run("drift") == 0, job.log
    assert job.run("preview") == 0, job.log
    job.change_by_hand()
    assert job.run("drift") != 0, job.log
    assert "no changes were expected" in job.log
    assert job.run("up") == 0, job.log
    assert CANARY not in job.log
    assert "PRIVATE KEY" not in job.log
