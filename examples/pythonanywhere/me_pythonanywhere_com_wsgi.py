"""The WSGI file that PythonAnywhere's web tab edits; there it lies in /var/www and names the project's folder."""

import sys
from pathlib import Path

project = str(Path(__file__).parent / "mysite")
if project not in sys.path:
    sys.path.insert(0, project)

from flask_app import app as application  # noqa: E402, F401 # pyright: ignore[reportUnusedImport]
