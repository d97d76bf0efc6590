"""Serves the package to the engine, which starts this file: PulumiPlugin.yaml."""

import sys
import tomllib
from pathlib import Path

from pulumi.provider import main

PROJECT = Path(__file__).resolve().parent.parent
# The engine starts this file with its own folder first on sys.path; the project's is one above.
sys.path.insert(0, str(PROJECT))

if __name__ == "__main__":
    from package.provider import Package

    main(Package(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]), sys.argv[1:])
