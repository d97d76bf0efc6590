"""Apps written for other platforms are found as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning import shapes
from provisioning.inspection import AppRefused, Versions, inspect
from tests.provisioning.test_app import FLASK, lay

EXAMPLES = Path(__file__).parents[2] / "examples"
EB = "option_settings:\n  aws:elasticbeanstalk:container:python:\n    WSGIPath: {}\n"
EB_LIST = "option_settings:\n- namespace: aws:elasticbeanstalk:container:python\n  option_name: WSGIPath\n  value: {}\n"


@pytest.mark.parametrize(
    ("example", "entrypoint"),
    [
        ("heroku", "board:create_app()"),
        ("pythonanywhere", "me_pythonanywhere_com_wsgi:application"),
        ("elastic-beanstalk", "shop.web:application"),
    ],
)
def test_the_examples(example: str, entrypoint: str) -> None:
    assert shapes.entrypoint(EXAMPLES / example) == entrypoint
    inspect(EXAMPLES / example, entrypoint, Versions(oldest_safe={}, too_new={}), files={})
    assert list(shapes.notices(EXAMPLES / example)) == []


@pytest.mark.parametrize(
    ("files", "entrypoint"),
    [
        ({"Procfile": "release: flask db upgrade\nweb: gunicorn app:app --log-file -\n"}, "app:app"),
        ({"Procfile": "web: gunicorn -b 0.0.0.0:$PORT -w 4 pkg.web:app"}, "pkg.web:app"),
        ({"Procfile": "web: gunicorn --preload app"}, "app:application"),
        ({"Procfile": "web: waitress-serve --port=$PORT --call shop:create_app"}, "shop:create_app()"),
        ({"Procfile": "web: gunicorn \"app:create_app('prod')\""}, "app:create_app('prod')"),
        ({"Procfile": "worker: rq worker", "wsgi.py": "application = 1"}, "wsgi:application"),
        ({"wsgi.py": "app = 1", "me_wsgi.py": "from x import app as application"}, "me_wsgi:application"),
        ({".ebextensions/a.config": EB.format("shop:application")}, "shop:application"),
        ({".ebextensions/a.config": EB_LIST.format("src/wsgi.py")}, "src/wsgi.py"),
        ({".ebextensions/a.config": EB.format("application")}, "application:application"),
        ({".ebextensions/a.config": EB.format("a:b"), ".ebextensions/b.config": EB.format("c:d")}, "c:d"),
        ({".ebextensions/a.config": "packages: {}", "Procfile": "web: gunicorn app:app"}, "app:app"),
        ({"Procfile": "web: gunicorn wsgi", "wsgi.py": "application = 1"}, "wsgi:application"),
    ],
)
def test_what_is_found(tmp_path: Path, files: dict[str, str], entrypoint: str) -> None:
    assert shapes.entrypoint(lay(tmp_path, files)) == entrypoint


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"app.py": FLASK}, r"is missing, and nothing in .* says it; allowed: .*; do: write app:app"),
        ({"Dockerfile": "FROM python"}, "its Dockerfile is not used: the app runs from its requirements"),
        (
            {"Procfile": "web: gunicorn app:app", "wsgi.py": "application = 1"},
            "Procfile says app:app, wsgi.py says wsgi:application; do: write the one",
        ),
        (
            {"Procfile": "web: gunicorn app:app", ".ebextensions/x.config": EB.format("shop:application")},
            r"Procfile says app:app, \.ebextensions/x\.config says shop:application",
        ),
        ({"Procfile": "web: python app.py", "app.py": FLASK}, '"web: python app.py" names no WSGI callable; do: write'),
        ({"Procfile": "web: gunicorn a:b c:d"}, "names more than one WSGI callable; do: write a:b or c:d"),
        ({"Procfile": "web: gunicorn 'a:b"}, "can't be split into words"),
        ({".ebextensions/x.config": "a: ["}, r"\.ebextensions/x\.config is not YAML"),
    ],
)
def test_what_is_not(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    with pytest.raises(AppRefused, match=problem):
        shapes.entrypoint(lay(tmp_path, files))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"runtime.txt": "python-3.12.4\n"}, ["app: runtime.txt asks for Python 3.12; the host has Debian's 3.13"]),
        ({".python-version": "3.11"}, ["app: .python-version asks for Python 3.11; the host has"]),
        ({"runtime.txt": "python-3.13.1"}, []),
        ({"runtime.txt": "pypy"}, []),
    ],
)
def test_another_python_is_told(tmp_path: Path, files: dict[str, str], told: list[str]) -> None:
    found = list(shapes.notices(lay(tmp_path, files)))
    assert len(found) == len(told)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True))
