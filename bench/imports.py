"""Loading the classes that the program uses, against importing the providers' packages."""

from __future__ import annotations

import sys

from bench.measure import Comparison, in_turn, process

ALONE = "import components.sdk"
PLAIN = "import pulumi_cloudflare, pulumi_digitalocean, pulumi_aws, pulumi_aws.ec2, pulumi_aws.ssm, pulumi_aws.vpc"


def measure(rounds: int) -> list[Comparison]:
    """Whole processes: the interpreter's and pulumi's own start are in both."""
    for warm_up in (ALONE, PLAIN):  # compiles what was never imported
        process([sys.executable, "-c", warm_up])
    pairs = in_turn(
        rounds, lambda: process([sys.executable, "-c", ALONE]), lambda: process([sys.executable, "-c", PLAIN])
    )
    return [
        Comparison(
            id="imports-time",
            title="Importing the provider SDKs: time",
            unit="s",
            pairs=[(ours.wall, theirs.wall) for ours, theirs in pairs],
            ours="components.sdk",
            theirs="plain imports",
        ),
        Comparison(
            id="imports-memory",
            title="Importing the provider SDKs: memory",
            unit="MB",
            pairs=[(ours.memory, theirs.memory) for ours, theirs in pairs],
            ours="components.sdk",
            theirs="plain imports",
        ),
    ]
