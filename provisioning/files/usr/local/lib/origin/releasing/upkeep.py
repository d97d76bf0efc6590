"""Maintenance: while /srv/app/maintenance.html is there, the proxy answers everything with it and 503."""

from __future__ import annotations

from pathlib import Path

from releasing.host import MAINTENANCE, RELEASES, Refused, say, write
from releasing.journal import note
from releasing.store import facts, live

DEFAULT_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Back soon</title>
<body style="font: 1.2rem/1.5 system-ui; max-width: 34rem; margin: 20vh auto; padding: 0 1rem">
<h1>Back soon</h1><p>We are working on this site. Please try again in a few minutes.</p>
"""


def maintenance(wanted: str, page: Path | None) -> None:
    """No lock: it must help in a long deploy."""
    if wanted == "off":
        MAINTENANCE.unlink(missing_ok=True)
    else:
        write(MAINTENANCE, page.read_text() if page else page_of(live()) or DEFAULT_PAGE)
    note(what=f"maintenance {wanted}", result="done")
    say(f"maintenance is {wanted}")


def page_of(id: str | None) -> str | None:
    """The app's own maintenance page. Never through a link: root reads it, and it is shown to the world."""
    if not id or not (name := facts(id).get("maintenance_page")):
        return None
    src = RELEASES / id / "src"
    page = (src / name).resolve()
    if not page.is_file() or not page.is_relative_to(src.resolve()):
        raise Refused(f"maintenance_page: {name} is not a file of {id}")
    return page.read_text()
