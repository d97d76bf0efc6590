from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.render import FILES

LIBRARY = FILES / "usr/local/lib/origin"
APP = """
def make(name, *, n=0):
    def app(environ, start_response): return [f"{name} {n}".encode()]
    return app
class wrapper:
    application = make("attribute")
application = make("file")
app = make("module")
from beside import WORD
"""


def served(folder: Path, entrypoint: str) -> subprocess.CompletedProcess[str]:
    """What the app of an entrypoint answers."""
    (folder / "shop").mkdir(exist_ok=True)
    for name, text in {
        "site.py": "",
        "shop/web.py": APP,
        "shop/beside.py": "WORD = 1",
        "beside.py": "WORD = 2",
    }.items():
        (folder / name).write_text(text)
    spec = {"server": "waitress", "entrypoint": entrypoint, "socket": "", "access_log": False}
    code = "from origin_server.wsgi import application as a; print(a({'REQUEST_METHOD': 'GET'}, print)[0].decode())"
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{LIBRARY}", "ORIGIN_SERVER": json.dumps(spec | {"defaults": {}, "options": {}})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("entrypoint", "answer"),
    [
        ("shop.web:app", "module 0"),
        ("shop.web:wrapper.application", "attribute 0"),
        ("shop.web:make('called')", "called 0"),
        ("shop.web:make('called', n=-3)", "called -3"),
        ("shop/web.py", "file 0"),
    ],
)
def test_every_shape_of_entrypoint(tmp_path: Path, entrypoint: str, answer: str) -> None:
    done = served(tmp_path, entrypoint)
    assert done.stdout == f"{answer}\n", done.stderr


@pytest.mark.parametrize("entrypoint", ["shop.web:nothing", "nowhere:app", "shop/nothing.py", "shop.web:make()"])
def test_what_is_not_there_ends_with_a_traceback(tmp_path: Path, entrypoint: str) -> None:
    done = served(tmp_path, entrypoint)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
