"""What the zone's settings were before this stack set them, so that destroy can put them back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pulumi
from pulumi_command import local

from components.zone_script import PULLS

# The script's text and not its path: destroy needs no checkout, or another one.
INTERPRETER = ["python3", "-I", "-c", Path(__file__).with_name("zone_script.py").read_text()]
"""What runs zone_script.py."""


@dataclass(frozen=True, kw_only=True)
class ZoneBeforeArgs:
    """The zone (its id), and what this stack makes of its settings: {setting: value}, in that order; {} for none."""

    zone_id: str
    settings: Mapping[str, str]
    origin_pulls: bool
    """Whether this stack switches the zone's authenticated origin pulls on."""
    at_destroy: Literal["keep", "restore"]


class ZoneBefore(pulumi.ComponentResource):
    """The provider's own deletion of a zone setting does nothing. What sets one depends on `remembered`.

    It stands in every stack, for its own removal would be the deletion at which settings are put back: that must be
    destroy's alone, not that of a stack which only hands the zone's settings over to another. A setting is remembered
    once, when the stack first owns it, and forgotten when it no longer does.

    The token comes from the environment, so neither the state nor a command line holds it.
    """

    def __init__(self, name: str, args: ZoneBeforeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flask-origin:zone_before:ZoneBefore", name, {}, opts)
        owned: dict[str, Any] = {**args.settings, **({PULLS: True} if args.origin_pulls else {})}
        self.remembered: pulumi.Resource = local.Command(
            f"{name}-remembered",
            interpreter=INTERPRETER,
            create="remember",
            update="remember",
            delete="restore",
            environment={"ZONE": args.zone_id, "OWNED": json.dumps(owned), "AT_DESTROY": args.at_destroy},
            triggers=[args.zone_id],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
