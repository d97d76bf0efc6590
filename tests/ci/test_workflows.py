"""The workflows are valid, run what people and tests run, and give each job the least that it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def jobs() -> dict[str, dict[str, Any]]:
    """GitHub's jobs by name."""
    return {name: job for path in WORKFLOWS for name, job in yaml.safe_load(path.read_text())["jobs"].items()}


def pipeline() -> dict[str, dict[str, Any]]:
    """GitLab's jobs by name."""
    whole = yaml.safe_load(GITLAB.read_text())
    return {name: job for name, job in whole.items() if isinstance(job, dict) and "script" in job}


def commands() -> list[str]:
    github = [step["run"] for job in jobs().values() for step in job["steps"] if "run" in step]
    return [*github, *(line for job in pipeline().values() for line in job["script"])]


def test_every_command_is_one_that_people_run() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert len(commands()) >= 9
    for command in commands():
        reported = re.fullmatch(
            r'python3 \.ci/report\.py (pull-request|issue|log) -- make (\w+) STACK="\$PULUMI_STACK"', command
        )
        if reported:
            assert reported[2] in targets & {"preview", "up", "drift"}
        else:
            assert command in {'sudo --preserve-env=CI env PATH="$PATH" bash .ci/run', "bash .ci/run", "make unit"}


def test_both_forges_do_the_same() -> None:
    def reports(lines: list[str]) -> set[str]:
        return {line for line in lines if "report.py" in line}

    github = [step.get("run", "") for job in jobs().values() for step in job["steps"]]
    assert reports(github) == reports([line for job in pipeline().values() for line in job["script"]])
    assert len(reports(github)) == 3


@pytest.mark.parametrize("target", ["preview", "up", "drift"])
def test_the_targets_hold_the_stack_to_the_policy_pack(target: str) -> None:
    made = subprocess.run(["make", "-n", target, "STACK=production"], cwd=ROOT, capture_output=True, text=True)
    assert "--stack production --policy-pack policy" in made.stdout
    assert ("--expect-no-changes" in made.stdout) == (target == "drift")
    assert ("--yes" in made.stdout) == (target == "up")
    assert ("OPERATOR_ADDRESS=" in made.stdout) == (target != "up"), "another runner's address is no drift"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+.*", line)] == []


def test_nothing_that_is_downloaded_runs_unchecked(tmp_path: Path) -> None:
    for path in (*WORKFLOWS, GITLAB):
        assert not re.search(r"(curl|wget)[^\n]*\|", path.read_text()), path.name
    steps = yaml.safe_load(GITLAB.read_text())[".pulumi"]["before_script"]
    (check,) = [index for index, step in enumerate(steps) if "sha256sum" in step]
    assert all("curl" in step for step in steps[:check])
    assert not any("curl" in step for step in steps[check:])
    # The very line, on an archive that is what its list says, on another one, and without any.
    archive, sums = tmp_path / "pulumi-v1-linux-x64.tar.gz", tmp_path / "pulumi-1-checksums.txt"

    def passes() -> bool:
        return subprocess.run(["sh", "-c", f"PULUMI_CLI=1; {steps[check]}"], cwd=tmp_path).returncode == 0

    archive.write_bytes(b"the release")
    listed = subprocess.run(["sha256sum", archive.name], cwd=tmp_path, capture_output=True, text=True).stdout
    sums.write_text(listed + "0" * 64 + "  pulumi-v1-windows-x64.zip\n")
    assert passes()
    archive.write_bytes(b"another")
    assert not passes()
    archive.unlink()
    assert not passes()


def test_each_job_may_do_the_least() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}, path.name
    wanted = {"preview": {"pull-requests": "write"}, "drift": {"issues": "write"}}
    for name, job in jobs().items():
        assert {**job.get("permissions", {}), "contents": "read"} == {"contents": "read", **wanted.get(name, {})}
        assert job["timeout-minutes"]
        assert all(step["with"]["persist-credentials"] is False for step in job["steps"] if "checkout" in str(step))


def test_a_fork_s_pull_request_sees_no_credentials() -> None:
    for path in WORKFLOWS:
        assert "pull_request_target" not in path.read_text()
    secret = {name for name, job in jobs().items() if "secrets." in str(job)}
    assert secret == {"preview", "up", "drift"}
    assert "head.repo.full_name == github.repository" in jobs()["preview"]["if"]
    assert "event_name == 'push'" in jobs()["up"]["if"]
    assert "CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in str(pipeline()["preview"]["rules"])
    machines = next(step for step in jobs()["test"]["steps"] if ".ci/run" in step.get("run", ""))
    assert "head.repo.full_name == github.repository" in machines["if"], "a stranger's change boots no machines"


def test_each_job_has_the_credentials_of_its_environment() -> None:
    wanted = {"preview": "preview", "drift": "preview", "up": "production"}
    assert {name: job["environment"] for name, job in jobs().items() if "environment" in job} == wanted
    assert {name: job["environment"]["name"] for name, job in pipeline().items() if "environment" in job} == wanted


def test_drift_is_looked_for_every_day() -> None:
    (drift,) = [path for path in WORKFLOWS if "make drift" in path.read_text()]
    # YAML 1.1 reads the key `on` as true.
    (schedule,) = yaml.safe_load(drift.read_text())[True]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule["cron"])
    assert '$CI_PIPELINE_SOURCE == "schedule"' in str(pipeline()["drift"]["rules"])


def test_the_page_names_all_that_is_to_be_set_up() -> None:
    page = (ROOT / "docs/continuous-integration.md").read_text()
    used = set(re.findall(r"(?:vars|secrets)\.([A-Z_]+)", "".join(path.read_text() for path in WORKFLOWS)))
    used |= {
        name
        for name in re.findall(r"\$([A-Z_]+)", GITLAB.read_text())
        if not name.startswith(("CI_", "PATH", "PULUMI_CLI"))
    }
    named = set(re.findall(r"^\|[^|]*`([A-Z_]+)`[^|]*\|", page, re.MULTILINE)) | set(
        re.findall(r"`([A-Z]+_[A-Z_]+)`", page)
    )
    assert used - named == set()
    assert named - used == {"REPORT_TOKEN"}


def test_no_two_ups_overlap_and_none_is_stopped() -> None:
    up = jobs()["up"]
    assert up["environment"] == "production"
    assert up["concurrency"]["cancel-in-progress"] is False
    whole = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["concurrency"]
    assert whole["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    assert up["concurrency"]["group"] not in {jobs()["drift"].get("concurrency", {}).get("group"), whole["group"]}
    theirs = pipeline()["up"]
    assert theirs["resource_group"] == "up"
    assert theirs["interruptible"] is False
    assert theirs["rules"][0]["when"] == "manual"


def test_the_engine_is_the_one_that_the_project_pins() -> None:
    (pinned,) = [
        line.partition("==")[2]
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if line.startswith("pulumi==")
    ]
    written = [*WORKFLOWS, GITLAB]
    found = [v for path in written for v in re.findall(r"(?:version|PULUMI_CLI): (3\.[0-9.]+)", path.read_text())]
    assert len(found) == 5
    assert set(found) == {pinned}


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        (["vendor.github-workflows"], WORKFLOWS),
        (["vendor.gitlab-ci", "--data-transform", "gitlab-ci"], [GITLAB]),
    ],
    ids=["github", "gitlab"],
)
def test_the_published_schemas_accept_them(schema: list[str], paths: list[Path]) -> None:
    check = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", *schema]
    ran = subprocess.run([*check, *map(str, paths)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_actionlint_finds_nothing() -> None:
    if shutil.which("actionlint"):
        lint = ["actionlint"]
    elif shutil.which("go"):
        lint = ["go", "run", ACTIONLINT]
    else:
        pytest.skip("neither actionlint nor go is on PATH: the workflows are not linted")
    ran = subprocess.run([*lint, "-no-color"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
