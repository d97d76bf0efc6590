"""Check 7: what falls over gets up by itself."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, sleep

from rehearsal.checks import throwaway
from rehearsal.checks.knock import Knock
from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Site
from rehearsal.checks.trial import steady
from rehearsal.cloud import machine

_BOUND = 120.0  # seconds


@line("kill -9 of the app, under load: it serves again by itself", stage="alone")
def app(site: Site) -> str:
    return _killed(site, f"app@{site.live()}")


@line("kill -9 of the proxy, under load: it serves again by itself", stage="alone")
def proxy(site: Site) -> str:
    return _killed(site, site.proxy.unit)


@line("kill -9 of both at once, under load: they serve again by themselves", stage="alone")
def both(site: Site) -> str:
    return _killed(site, f"app@{site.live()}", site.proxy.unit)


def _killed(site: Site, *units: str) -> str:
    with steady(site, slow=False) as report:
        before = {unit: site.main_pid(unit) for unit in units}
        expect(all(before.values()), f"not running: {before}")
        started = monotonic()
        site.read("kill", "-9", *map(str, before.values()))
        for unit, pid in before.items():
            while (now := site.main_pid(unit)) in (0, pid):
                expect(monotonic() - started < _BOUND, f"{unit} did not come back within {_BOUND:.0f} s")
                sleep(0.05)
            expect(now != pid, f"{unit} was not killed")
        site.await_answer(seconds=_BOUND)
        back = monotonic() - started
    last = max((failure["after"] for failure in report["failures"]), default=0.0)
    expect(report["requests"] > report["failed"], "under load no request was answered")
    lost = f"{report['failed']} of {report['requests']} requests failed meanwhile" if last else "no request was lost"
    return f"back after {back:.1f} s; {lost}"


@line("A reboot: the site serves again by itself, its door no wider than before", stage="alone")
def reboot(site: Site) -> str:
    release, before = site.live(), machine.init_pid(site.world, site.machine_id)
    started = monotonic()
    machine.reboot(site.world, site.machine_id)
    return _returns(site, release, before, started)


@line("A power cut while it serves: with the power it serves again", depth="full", stage="alone")
def power_cut(site: Site) -> str:
    release, before = site.live(), machine.init_pid(site.world, site.machine_id)
    with steady(site):
        machine.power_off(site.world, site.machine_id)
    started = monotonic()
    machine.power_on(site.world, site.machine_id)
    return _returns(site, release, before, started)


def _returns(site: Site, release: str, before: int | None, started: float) -> str:
    """Wait for another boot to serve the same release; look at its door meanwhile."""
    while machine.init_pid(site.world, site.machine_id) in (before, None):
        expect(monotonic() - started < _BOUND, "the machine did not restart")
        sleep(0.05)
    while site.fetch(site.health_path, "--max-time", "5").status != 200:
        expect(monotonic() - started < _BOUND, f"no 200 within {_BOUND:.0f} s")
        for result in site.knock("attacker", [Knock(address=address, tls="") for address in site.addresses]):
            expect(result.how == "filtered", f"while it boots, 443 is {result.how} for the attacker")
    back = monotonic() - started
    expect(site.live() == release, f"{site.live()} serves, not {release}")
    failed = ""
    with suppress(Exception):
        failed = site.read("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    expect(not failed, f"failed units: {failed.split()[0] if failed else ''}")
    return f"back after {back:.1f} s with release {release}"


@line("Power cuts in the middle of the first boot: it is finished by itself or by the next up", depth="full")
def first_boot(site: Site) -> str:
    seen = []
    for moment in throwaway.MOMENTS:
        with throwaway.world(site) as other:
            other.begin_up()
            after = other.await_moment(moment)
            other.cut_power()
            again = "" if other.finish_up() else ", by the next up"
            if again:
                other.up()
            other.expect_serving()
            seen.append(f"{moment.name} ({after:.0f} s){again}")
    return "; ".join(seen)
