"""One run of an engine on a stand-in cloud that only keeps books; or one of the official engine's plugins, there.

python -m tests.rehearsal.plugins.on_paper up <engine> <stack file>     prints the result as JSON
python -m tests.rehearsal.plugins.on_paper digitalocean                 serves, as rehearsal.plugins does
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rehearsal import stackfile
from rehearsal.cloud import world
from rehearsal.plugins import __main__ as plugin
from rehearsal.plugins import home
from rehearsal.providers.configuration import CONFIGURATION
from rehearsal.rehearsal import Rehearsal
from tests.rehearsal import paper


def main(command: str, *rest: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        paper.lay(patch)
        patch.setattr(world, "RUNTIME", Path(os.environ["REHEARSAL_HOME"]).parent / "run")
        patch.setattr(home, "MODULE", "tests.rehearsal.plugins.on_paper")
        if command in CONFIGURATION:
            plugin.main(command)
        engine: Any = rest[0]
        said: list[str] = []
        rehearsal = Rehearsal(stackfile.load(Path(rest[1])), said.append, lambda event: said.append(event.text), engine)
        result = getattr(rehearsal, command)()
        print(json.dumps({**result.as_json(), "said": said}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
