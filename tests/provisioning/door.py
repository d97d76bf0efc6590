"""The whole real proxy in front of a host's releases, and whoever asks it as Cloudflare does.

That is: from the edge's place, over TLS, with the zone's client certificate.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provisioning.proxies import Kind
from rehearsal.checks import knock
from rehearsal.cloud import machine, network
from tests.provisioning import steady_load, talker
from tests.provisioning.origin_host import HOSTNAME, Site
from tests.provisioning.released import ReleasedHost

VISITOR = "198.18.64.10"
"""Who asks, as Cloudflare says."""


@dataclass(frozen=True, kw_only=True)
class Door:
    host: ReleasedHost
    address: str
    client: Path
    """The zone's client certificate and its key."""

    def answers(self, requests: Sequence[str], *, patience: float = 20) -> list[knock.Result]:
        """What comes back for whole requests, byte by byte as they stand, each on a connection of its own."""
        client = self.client.read_text()
        knocks = [
            knock.Knock(address=self.address, sni=HOSTNAME, client=client, request=each, patience=patience)
            for each in requests
        ]
        done = network.exec_in(
            self.host.world,
            "edge",
            [sys.executable, "-I", knock.__file__],
            input=json.dumps([asdict(each) for each in knocks]),
            text=True,
            capture_output=True,
            check=True,
        )
        return [knock.Result(**result) for result in json.loads(done.stdout)]

    def get(self, path: str, *headers: str) -> str:
        """The body of a 200; anything else fails the test."""
        (result,) = self.answers([asked(path, *headers)])
        assert result.status == 200, result
        return result.body

    @contextmanager
    def steady_load(self) -> Iterator[dict[str, Any]]:
        """The load of steady_load.py for the length of the block; what it found, once that is over."""
        argv = [sys.executable, "-I", steady_load.__file__, self.address, str(self.client)]
        place = ["ip", "netns", "exec", self.host.world.namespace("edge")]
        found: dict[str, Any] = {}
        with subprocess.Popen([*place, *argv], stdout=subprocess.PIPE, text=True) as load:
            try:
                time.sleep(1)
                yield found
                time.sleep(1)
                load.send_signal(signal.SIGTERM)
                assert load.stdout
                found |= json.loads(load.stdout.read())
            finally:
                load.kill()
        print(found)

    @contextmanager
    def websocket(self) -> Iterator[list[str]]:
        """One that talker.py talks over from before the block begins until the other side ends it; what it printed."""
        argv = [sys.executable, "-I", talker.__file__, self.address, str(self.client)]
        place = ["ip", "netns", "exec", self.host.world.namespace("edge")]
        said: list[str] = []
        with subprocess.Popen([*place, *argv], stdout=subprocess.PIPE, text=True) as talking:
            try:
                assert talking.stdout
                said += [talking.stdout.readline().strip(), talking.stdout.readline().strip()]
                yield said
                said += talking.communicate(timeout=30)[0].splitlines()
            finally:
                talking.kill()


def asked(path: str, *headers: str) -> str:
    """A visitor's GET, as Cloudflare would send it on."""
    return knock.request(HOSTNAME, path, f"CF-Connecting-IP: {VISITOR}", *headers)


@contextmanager
def opened(host: ReleasedHost, site: Site, folder: Path, *, proxy: Kind, **options: Any) -> Iterator[Door]:
    """The host's proxy as `origin configure` sets it up, for bodies of up to 10 MB, with more of its options."""
    document = site.document(proxy=proxy, max_body=10_000_000, **options)
    host.run("origin", "configure", input=json.dumps(document), check=True)
    client = folder / "client.pem"
    client.touch(mode=0o600)
    client.write_text(site.client.certificate + site.client.key)
    described = host.world.store.get(machine.COLLECTION, host.id)
    assert described
    yield Door(host=host, address=described["ipv4"], client=client)
