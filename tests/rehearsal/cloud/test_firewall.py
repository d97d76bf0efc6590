"""The cloud's firewall, met from the places to stand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rehearsal.cloud import firewall, machine, network
from rehearsal.cloud.firewall import Rules
from rehearsal.cloud.network import EDGE_RANGES_V4, EDGE_RANGES_V6
from rehearsal.cloud.world import World
from tests.rehearsal.cloud.standing import booted, cloud_init_done, knock, listen, output, rule, until

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def addresses(world: World) -> Iterator[machine.Addresses]:
    """A machine that answers on 443 and 8443, and refuses everywhere else."""
    with booted(world, "guarded") as found:
        until(lambda: cloud_init_done(world, "guarded"))
        listen(world, "guarded", 443, 8443)
        until(lambda: knock(world, "attacker", found.ipv6, 443) == "open", seconds=5)
        yield found


@pytest.fixture(autouse=True)
def no_firewall_before(world: World) -> None:
    firewall.apply(world, "guarded", None)


def both(world: World, place: str, found: machine.Addresses, port: int) -> list[str]:
    """What a knock gets over IPv4 and over IPv6."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda address: knock(world, place, address, port), (found.ipv4, found.ipv6)))


def test_without_a_firewall_everything_is_open(world: World, addresses: machine.Addresses) -> None:
    assert both(world, "attacker", addresses, 443) == ["open", "open"]
    assert both(world, "attacker", addresses, 444) == ["refused", "refused"]


def test_what_no_rule_admits_is_filtered_and_not_refused(world: World, addresses: machine.Addresses) -> None:
    ranges = (*EDGE_RANGES_V4, *EDGE_RANGES_V6)
    operator = ("198.18.67.0/24", "2001:db8:67::/64")
    firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", 443, *ranges), rule("tcp", 22, *operator))))
    for place in ("attacker", "visitor", "worker", "operator"):
        assert both(world, place, addresses, 443) == ["filtered", "filtered"], place
    for place in ("edge", "neighbour"):
        assert both(world, place, addresses, 443) == ["open", "open"], place
        assert both(world, place, addresses, 8443) == ["filtered", "filtered"], place
        assert both(world, place, addresses, 22) == ["filtered", "filtered"], place
    assert both(world, "operator", addresses, 22) == ["open", "open"]
    assert both(world, "attacker", addresses, 444) == ["filtered", "filtered"]


def test_ranges_of_ports_and_all_ports(world: World, addresses: machine.Addresses) -> None:
    wide = firewall.Rule(protocol="tcp", ports=(440, 450))
    firewall.apply(world, "guarded", Rules(inbound=(wide,)))
    assert both(world, "attacker", addresses, 443) == ["open", "open"]
    assert both(world, "attacker", addresses, 444) == ["refused", "refused"]
    assert both(world, "attacker", addresses, 8443) == ["filtered", "filtered"]
    firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", None, "198.18.65.10", "198.18.65.0/24"),)))
    assert both(world, "attacker", addresses, 8443) == ["open", "filtered"]


def test_outbound_is_closed_too_once_a_firewall_is_attached(world: World, addresses: machine.Addresses) -> None:
    mirror = ["python3", "-c", "import urllib.request as r; r.urlopen('http://198.18.0.80/elsewhere', timeout=2)"]

    def reaches_mirror() -> bool:
        done = machine.execute(world, "guarded", mirror, capture_output=True, text=True, check=False)
        return "HTTP Error" in done.stderr or not done.returncode  # an answer, whichever

    assert reaches_mirror()
    firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", 443),)))
    assert not reaches_mirror()
    assert both(world, "visitor", addresses, 443) == ["open", "open"], "replies are not new connections"
    firewall.apply(world, "guarded", Rules(outbound=(rule("any", None),)))
    assert reaches_mirror()


def test_echo_is_answered_only_where_a_rule_admits_it(world: World, addresses: machine.Addresses) -> None:
    def pings() -> list[bool]:
        return [_ping(world, address) for address in (network.DNS[0], network.DNS[1])]

    firewall.apply(world, "guarded", Rules(outbound=(rule("tcp", None),)))
    assert pings() == [False, False]
    firewall.apply(world, "guarded", Rules(outbound=(rule("icmp", None),)))
    assert pings() == [True, True]
    firewall.apply(world, "guarded", Rules(outbound=(rule("icmp", None, "0.0.0.0/0"),)))
    assert pings() == [True, False]


def _ping(world: World, address: str) -> bool:
    argv = ["ping", "-c", "1", "-W", "1", address]
    return machine.execute(world, "guarded", argv, capture_output=True, check=False).returncode == 0


def test_replacing_the_rules_never_opens_a_gap(world: World, addresses: machine.Addresses) -> None:
    admitted = rule("tcp", 443, "198.18.16.0/24")
    deadline = time.monotonic() + 3
    seen = set()
    while time.monotonic() < deadline:
        firewall.apply(world, "guarded", Rules(inbound=(admitted,)))
        seen.add(knock(world, "edge", addresses.ipv4, 443))
        firewall.apply(world, "guarded", Rules(inbound=(admitted, rule("tcp", 22, "198.18.67.0/24"))))
        seen.add(knock(world, "attacker", addresses.ipv4, 443, seconds=0.1))
    assert seen == {"open", "filtered"}
    assert knock(world, "attacker", addresses.ipv4, 443) == "filtered"


def test_a_forged_source_address_does_not_pass(world: World, addresses: machine.Addresses) -> None:
    """The attacker takes an address from Cloudflare's ranges; his packets must not reach the machine."""
    inside = ("198.18.20.66/32", "2001:db8:cf04::66/128")
    firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", 443, *inside),)))
    output(world, "guarded", "iptables", "-A", "INPUT", "-s", inside[0], "-j", "ACCEPT")
    output(world, "guarded", "ip6tables", "-A", "INPUT", "-s", inside[1], "-j", "ACCEPT")
    for address, target in zip(inside, (addresses.ipv4, addresses.ipv6), strict=True):
        network.exec_in(world, "attacker", ["ip", "address", "add", address, "dev", "lo"], check=True)
        assert _knock_from(world, address.partition("/")[0], target) == "filtered"
        network.exec_in(world, "attacker", ["ip", "address", "del", address, "dev", "lo"], check=True)
    for program in ("iptables-save", "ip6tables-save"):
        counters = output(world, "guarded", program, "-c")
        assert "[0:0] -A INPUT" in counters, counters


def _knock_from(world: World, source: str, target: str) -> str:
    script = f"""
import socket
try:
    socket.create_connection(("{target}", 443), timeout=1, source_address=("{source}", 0))
    print("open")
except TimeoutError:
    print("filtered")
"""
    argv = ["python3", "-c", script]
    return network.exec_in(world, "attacker", argv, capture_output=True, text=True, check=True).stdout.strip()


def test_an_odd_network_is_refused_and_the_old_rules_stay(world: World, addresses: machine.Addresses) -> None:
    firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", 443, "198.18.16.0/24"),)))
    with pytest.raises(ValueError, match=r"198\.18\.0\.0/33"):
        firewall.apply(world, "guarded", Rules(inbound=(rule("tcp", 443, "198.18.0.0/33"),)))
    assert knock(world, "attacker", addresses.ipv4, 443) == "filtered"
    assert knock(world, "edge", addresses.ipv4, 443) == "open"
