"""One preview of one host in its own process; prints how long each part took: `python -m bench.preview_once T0`."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time

ENGINE = ("rehearsal.rehearsal", "rehearsal.providers.command", "rehearsal.providers.tls")
SDKS = ("pulumi", "pulumi_command.remote", "pulumi_tls", "pulumi_random", "components.sdk")
PROGRAM = ("wiring",)


def main(started: float) -> dict[str, float]:
    """Seconds from `started` (time.monotonic()) to the end of each part, in order."""
    reached = {"interpreter": time.monotonic() - started}
    for part, modules in {"sdks": SDKS, "engine": ENGINE, "program's modules": PROGRAM}.items():
        for module in modules:
            importlib.import_module(module)
        reached[part] = time.monotonic() - started
    from rehearsal import stackfile
    from rehearsal.providers.cloudflare import zones
    from rehearsal.rehearsal import PROJECT, Rehearsal

    with tempfile.TemporaryDirectory() as folder:
        os.environ["REHEARSAL_HOME"] = folder
        stack = stackfile.load(stackfile.find(PROJECT, "dev"))
        rehearsal = Rehearsal(stack, lambda _: None, lambda _: None)
        zones.seed_zone(rehearsal.world, "example.com")
        result = rehearsal.preview()
        assert result.ok and len(result.steps) > 30, result.errors
        reached["program"] = time.monotonic() - started
    return reached


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
