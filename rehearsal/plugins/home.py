"""A PULUMI_HOME in which the stand-in providers are installed as plugins, so that the engine looks for no others."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from rehearsal.providers.configuration import CONFIGURATION

WORLD = "REHEARSAL_WORLD"
"""Environment variable with the world's folder, which the engine hands down to its plugins."""

MODULE = "rehearsal.plugins"
_SOURCES = Path(__file__).parents[2]


def lay(home: Path) -> None:
    """Install every provider in the version that its SDK asks for; what other versions left is not asked for."""
    for package in CONFIGURATION:
        name = f"pulumi-resource-{package}"
        folder = home / "plugins" / f"resource-{package}-v{version(f'pulumi-{package}')}"
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        program.write_text(
            "#!/bin/sh\n"
            f"export PYTHONPATH={shlex.quote(str(_SOURCES))}\n"
            # -P: the engine starts it in the program's folder, which has no say in what is imported.
            f"exec {shlex.quote(sys.executable)} -P -m {MODULE} {package}\n"
        )
        program.chmod(0o755)
