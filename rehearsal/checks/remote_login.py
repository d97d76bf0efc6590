"""Check 5: SSH answers the operator only, and takes keys only."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from rehearsal.checks.knock import Knock
from rehearsal.checks.line import expect, line
from rehearsal.checks.site import Site

_LINE = "Authentications that can continue: "


@line("SSH is filtered for everybody but the operator, over IPv4 and IPv6")
def operator_only(site: Site) -> str:
    knocks = [Knock(address=address, port=22, tls="", patience=20) for address in site.addresses]
    places = ("visitor", "attacker", "neighbour", "worker", "edge", "operator")
    with ThreadPoolExecutor(len(places)) as pool:
        results = dict(zip(places, pool.map(lambda place: site.knock(place, knocks), places), strict=True))
    for place, seen in results.items():
        for one, result in zip(knocks, seen, strict=True):
            right = result.answer.startswith("SSH-2.0-") if place == "operator" else result.how == "filtered"
            expect(right, f"from the {place}, {one.address}: {result.how} {result.answer[:40]}")
    return "filtered from five other places; the operator gets in over both"


@line("The host's key is the one that the stack pinned")
def host_key(site: Site) -> str:
    pinned = site.rehearsal.outputs()["host_key"].split()[:2]
    own = site.read("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    expect(pinned == own, f"the stack pinned {pinned[1][-12:]}, the host has {own[1][-12:]}")
    seen = site.rehearsal.at("operator", ["ssh-keyscan", "-T", "5", "-t", "ed25519", site.ipv4]).stdout.split()[1:3]
    expect(seen == pinned, f"the stack pinned {pinned[1][-12:]}, over the network {seen} is presented")
    done = site.rehearsal.on_host("id --user --name")
    expect(done.stdout.strip() == "deploy", f"logging in with it failed: {done.stderr.strip()[-200:]}")
    return f"{pinned[0]} …{pinned[1][-12:]}"


@line("Only keys are taken: no password, no root, no stranger's key")
def keys_only(site: Site) -> str:
    offered = re.findall(f"{_LINE}(.*)", _login(site, "deploy", "PreferredAuthentications=none"))
    expect(offered and {text.strip() for text in offered} == {"publickey"}, f"sshd offers {offered or 'nothing'}")
    passwords = "PreferredAuthentications=password,keyboard-interactive"
    for user, option in (("deploy", passwords), ("root", passwords), ("root", "PreferredAuthentications=publickey")):
        with site.rehearsal.ssh() as login:
            key = login[login.index("-i") + 1]
            words = _login(site, user, option, "-i", key)
        expect("Authenticated to" not in words, f"{user} got in with {option.partition('=')[2]}")
        expect("Permission denied" in words, f"{user} with {option}: {words.strip()[-200:]}")
    effective = dict(
        text.split(" ", 1)
        for text in site.read("sshd", "-T", "-C", "user=root,host=x,addr=198.18.67.10").lower().splitlines()
        if " " in text
    )
    wanted = {"permitrootlogin": "no", "passwordauthentication": "no", "kbdinteractiveauthentication": "no"}
    for name, value in wanted.items():
        expect(effective.get(name) == value, f"sshd's {name} is {effective.get(name)}")
    locked = site.read("getent", "shadow", "root", "deploy", "app", "build", site.proxy.user).splitlines()
    usable = [entry.split(":")[0] for entry in locked if not entry.split(":")[1].startswith(("!", "*"))]
    expect(not usable, f"{', '.join(usable)} can have a password")
    return "publickey is all that is offered; root is refused with the right key too"


def _login(site: Site, user: str, *options: str) -> str:
    """What `ssh -v` says of a login that should fail, without any key unless one is among the options."""
    flags = ["-v", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    flags += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=10", "-F", "/dev/null"]
    written = [part if part.startswith("-") or "=" not in part else f"-o{part}" for part in options]
    argv = ["ssh", *flags, *written, f"{user}@{site.ipv4}", "true"]
    return site.rehearsal.at("operator", argv, stdin=subprocess.DEVNULL).stderr
