"""Runs on a host, as root, on its own Python: installs the same requirements by the release tool and by pip, in turn.

Standard input: {"requirements": text, "rounds": number}. Prints {"cold": [[ours, theirs], …], "warm": …} in seconds.
Cold: neither has anything but the index. Warm: each has its own cache from the run before, and no environment.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path("/srv/bench")
ID = "0001-benchmark"


def main(requirements: str, rounds: int) -> dict[str, list[list[float]]]:
    tool = _release_tool()
    source = ROOT / "releases" / ID / "src"
    for folder in (source, tool.VENVS):
        folder.mkdir(parents=True, exist_ok=True)
    (source / "requirements.txt").write_text(requirements)
    sides = {"ours": lambda: _release(tool), "theirs": lambda: _pip(source / "requirements.txt")}
    caches = {"ours": tool.UV_CACHE, "theirs": Path.home() / ".cache/pip"}
    found: dict[str, list[list[float]]] = {"cold": [], "warm": []}
    for side in sides.values():
        side()  # so that the mirror has everything, and neither side pays for fetching it
    for number in range(rounds):
        order = ["theirs", "ours"] if number % 2 else ["ours", "theirs"]
        for kind in ("cold", "warm"):
            took = {}
            for side in order:
                if kind == "cold":
                    for path in caches[side].iterdir() if caches[side].exists() else ():
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                took[side] = sides[side]()
            found[kind].append([took["ours"], took["theirs"]])
    shutil.rmtree(ROOT)
    return found


def _release_tool() -> Any:
    sys.path.insert(0, "/usr/local/lib/origin")
    tool: Any = importlib.import_module("releasing.build")
    tool.RELEASES, tool.VENVS = ROOT / "releases", ROOT / "venvs"
    tool.say = lambda text: None
    return tool


def _release(tool: Any) -> float:
    folder = tool.RELEASES / ID
    (folder / "venv").unlink(missing_ok=True)
    for venv in tool.VENVS.iterdir():
        shutil.rmtree(venv)
    folder.chmod(0o755)
    began = time.monotonic()
    tool.build(ID, [])
    return time.monotonic() - began


def _pip(requirements: Path) -> float:
    venv = ROOT / "pip-venv"
    shutil.rmtree(venv, ignore_errors=True)
    began = time.monotonic()
    for argv in ([sys.executable, "-m", "venv", venv], [venv / "bin/pip", "install", "--quiet", "-r", requirements]):
        subprocess.run([str(arg) for arg in argv], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(main(given["requirements"], given["rounds"])))
