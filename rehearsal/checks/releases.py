"""Check 8: a release changes the release and nothing else, loses no request, and a bad one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.checks.line import Failed, expect, line
from rehearsal.checks.site import Site, changed, nonce, problem
from rehearsal.checks.trial import edited, trial

_RELEASE = "flask-origin:release:Release$"


@line("up again changes nothing", stage="alone")
def again(site: Site) -> str:
    expect(not site.unsettled, f"up would: {site.unsettled}; run `./rehearse up` if the program changed")
    release = site.live()
    result = site.rehearsal.up()
    expect(not (wanted := changed(result)), f"up would not rest: {', '.join(wanted)}")
    expect(site.live() == release, f"{site.live()} serves now, not {release}")
    return f"{len(result.steps)} resources, all the same"


@line("One line of the app edited: the preview shows only the release changing", stage="alone")
def preview(site: Site) -> str:
    for what, result in (("preview", trial(site).preview), ("up", trial(site).up)):
        expect(changed(result), f"{what} shows no change")
        others = [step for step in result.steps if step.op not in ("same", "read") and _RELEASE not in step.urn]
        beside = [f"{step.op} {step.name}" for step in others]
        expect(not beside, f"{what} also shows {', '.join(beside)}")
    return ", ".join(changed(trial(site).preview))


@line("While it goes out a steady load loses no request", stage="alone")
def under_load(site: Site) -> str:
    made = trial(site)
    expect(made.after != made.before, f"{made.after} was live before")
    seen = made.load
    if seen["failures"]:
        first = seen["failures"][0]
        raise Failed(f"{seen['failed']} of {seen['requests']} failed, first {first['stream']}: {first['what']}")
    expect(seen["requests"] >= 50, f"only {seen['requests']} requests were made")
    if seen["releases"]:
        expect({made.before, made.after} <= set(seen["releases"]), f"only {', '.join(seen['releases'])} answered")
    slow = max((seconds for name, seconds in seen["p99"].items() if "slow" not in name), default=0.0)
    return f"{seen['requests']} requests on new and kept connections, GET, POST and slow ones; p99 {slow * 1000:.0f} ms"


@line("A release that does not import: up fails with the reason, the old one serves on", stage="alone")
def does_not_import(site: Site) -> str:
    word = nonce()
    with site.copy_of_app() as copy:
        edited(copy, site.app["entrypoint"], f"raise RuntimeError({word!r})")
        return _refused(site, {"app": {"source": str(copy)}}, word)


@line("A release that is not healthy: up fails with the reason, the old one serves on", stage="alone")
def unhealthy(site: Site) -> str:
    word = nonce()
    app = f"""\
def app(environ, start_response):
    print({word!r}, flush=True)
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"no"]
"""
    with site.copy_of_app() as copy:
        (copy / "rehearsed_unhealthy.py").write_text(app)
        changed = {
            "source": str(copy),
            "entrypoint": "rehearsed_unhealthy:app",
            "health": {"path": site.health_path, "timeout": 6},
        }
        return _refused(site, {"app": changed}, word, "answered 500")


@line("A release whose command (a migration) fails: up fails with the reason, the old one serves on", stage="alone")
def command_fails(site: Site) -> str:
    word = nonce()
    with site.copy_of_app() as copy:
        edited(copy, site.app["entrypoint"], f"# {word}")
        command = ["python", "-c", f"raise SystemExit('{word}')"]
        return _refused(site, {"app": {"source": str(copy), "release_command": command}}, word, "release command")


def _refused(site: Site, changes: Mapping[str, Mapping[str, Any]], *words: str) -> str:
    """Raise Failed unless `up` fails saying these words, and visitors never notice."""
    site.remember_release()
    release = site.live()
    result = site.rehearsal.up(changes)
    expect(not result.ok, "up went through")
    said = problem(result)
    for word in words:
        expect(any(word in error.text for error in result.errors), f"up does not say {word!r} but {said[:300]}")
    expect(site.live() == release, f"{site.live()} serves now, not {release}")
    seen = site.fetch(site.health_path)
    expect(seen.status == 200, f"visitors get {seen}")
    running = site.read("systemctl", "list-units", "--plain", "--no-legend", "app@*").splitlines()
    expect(len(running) == 1, f"{len(running)} releases are running")
    return f"{release} serves on; up said why, with the journal's tail"


@line("Rollback on the host brings the release before back, and up agrees", stage="alone")
def rollback(site: Site) -> str:
    made = trial(site)
    expect(site.live() == made.after, f"{site.live()} is live, not the trial release {made.after}")
    done = site.rehearsal.on_host("sudo release rollback")
    expect(done.returncode == 0, f"it failed: {done.stderr.strip()[-300:]}")
    expect(site.live() == made.before, f"{site.live()} is live, not {made.before}")
    seen = site.fetch(site.health_path)
    expect(seen.status == 200, f"visitors get {seen}")
    site.put_back()
    expect(site.live() == made.before, f"after up {site.live()} is live, not {made.before}")
    result = site.rehearsal.preview()
    expect(not (wanted := changed(result)), f"the program still wants to change {', '.join(wanted)}")
    return f"{made.after} → {made.before}, without the network"
