"""Check 9: destroy leaves nothing behind. It is proven on worlds of its own; the stack under check stays up."""

from __future__ import annotations

from rehearsal.checks import throwaway
from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Site


@line("Destroy leaves nothing: no machine, namespace, mount, process or record", depth="full")
def destroy(site: Site) -> str:
    with throwaway.world(site) as other:
        other.up()
        other.expect_serving()
        expect(len(other.left_behind()) > 5, "what stands is not found, so that this would prove nothing")
        other.destroy()
        expect(not (left := other.left_behind()), f"left behind: {', '.join(left[:4])}")
    return "on the first try"


@line("Destroy leaves nothing after kill -9 of up at any moment", depth="full")
def after_a_crash(site: Site) -> str:
    for moment in (throwaway.MOMENTS[0], throwaway.MOMENTS[-1]):
        with throwaway.world(site) as other:
            other.begin_up()
            other.await_moment(moment)
            other.kill_up()
            other.destroy()
            expect(not (left := other.left_behind()), f"killed {moment.name}, left behind: {', '.join(left[:4])}")
    return "killed as the machine started, and in the middle of its first boot"


@line("up after kill -9 of up finishes it", depth="full")
def up_after_a_crash(site: Site) -> str:
    with throwaway.world(site) as other:
        other.begin_up()
        other.await_moment(throwaway.MOMENTS[1])
        other.kill_up()
        other.up()
        other.expect_serving()
    return "killed during the first boot; the next up went through and the site serves"
