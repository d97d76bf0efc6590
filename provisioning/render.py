"""The one way from a file under files/ and typed values to text; an undefined name is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FILES = Path(__file__).parent / "files"
"""Laid out as the host's own file system; a `.j2` is rendered, anything else is shipped as it stands."""

_environment = Environment(
    loader=FileSystemLoader(FILES),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def render(path: str, **values: object) -> str:
    """Text of files/`path` with `values` filled in.

    Raises jinja2.UndefinedError for a name the template uses and `values` lacks, jinja2.TemplateNotFound
    for a path that does not exist.
    """
    return _environment.get_template(path).render(**values)
