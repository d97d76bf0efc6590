"""The world's resolver: dnsmasq in the router, which knows the account's records and nothing else.

A proxied name resolves to the edge, in both families, as at Cloudflare; a name that is not proxied to what its records
say (A, AAAA, CNAME, TXT); every other name does not exist. Answers may not be cached
(TTL 0): a rehearsal does not wait.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from rehearsal.cloud import daemon
from rehearsal.cloud.network import DNS, PLACES, ROUTER
from rehearsal.cloud.world import World
from rehearsal.cloud.zone import ADDRESS_TYPES, Record, addresses, records

_NAME = "dns"


def apply(world: World) -> None:
    """Makes the resolver answer what the store says now; restarts it only when that changed."""
    with world.lock(_NAME):
        folder = world.root / "dns"
        folder.mkdir(exist_ok=True)
        hosts, configuration = folder / "hosts", folder / "dnsmasq.conf"
        every = records(world)
        wanted = {hosts: _hosts(every), configuration: _configuration(folder, every)}
        current = {path: path.read_text() if path.exists() else None for path in wanted}
        if daemon.running(world, _NAME) and current == wanted:
            return
        daemon.stop(world, _NAME)
        for path, text in wanted.items():
            path.write_text(text)
        ready = folder / "dnsmasq.pid"
        ready.unlink(missing_ok=True)
        daemon.start(world, _NAME, ["dnsmasq", "--keep-in-foreground", f"--conf-file={configuration}"], place=ROUTER)
        daemon.await_ready(world, _NAME, ready)


def stop(world: World) -> None:
    """Stops the resolver and removes its files. Already gone is fine."""
    with world.lock(_NAME):
        daemon.stop(world, _NAME)
        shutil.rmtree(world.root / "dns", ignore_errors=True)


def _hosts(every: list[Record]) -> str:
    """Names and addresses in the manner of /etc/hosts, which can give a name several of each."""
    lines = [f"{address} {name}" for name, found in _addresses(every).items() if name[0] != "*" for address in found]
    return "".join(f"{line}\n" for line in sorted(lines))


def _configuration(folder: Path, every: list[Record]) -> str:
    fixed = [
        *(f"listen-address={address}" for address in DNS),
        "bind-interfaces",
        "user=root",
        "no-resolv",
        "no-hosts",
        f"addn-hosts={folder}/hosts",
        f"pid-file={folder}/dnsmasq.pid",
        "local=/#/",
        "local-ttl=0",
    ]
    wildcards = [
        f"address=/{name}/{address}" for name, found in _addresses(every).items() if name[0] == "*" for address in found
    ]
    # A proxied CNAME is flattened by the edge, so that no visitor sees it.
    aliases = [f"cname={r.name},{r.content.rstrip('.')}" for r in every if r.type == "CNAME" and not r.proxied]
    texts = [f'txt-record={r.name},"{_text(r.content)}"' for r in every if r.type == "TXT"]
    return "".join(f"{line}\n" for line in [*fixed, *sorted(wildcards), *sorted(aliases), *sorted(texts)])


def _addresses(every: list[Record]) -> dict[str, tuple[str, ...]]:
    """What each name with addresses resolves to."""
    edge = PLACES["edge"]
    of_edge = tuple(address.partition("/")[0] for address in (edge.ipv4, edge.ipv6) if address)
    proxied = {record.name for record in every if record.proxied}
    plain = {record.name for record in every if record.type in ADDRESS_TYPES} - proxied
    return dict.fromkeys(proxied, of_edge) | {name: addresses(every, name) for name in plain}


def _text(content: str) -> str:
    """A TXT record's text without the quotes and line ends that would end it in dnsmasq's configuration."""
    return content.strip('"').translate(str.maketrans({'"': "'", "\n": " ", "\r": " "}))
