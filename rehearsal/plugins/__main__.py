"""One provider plugin, as the engine starts it: prints its port, serves until its engine is done or gone.

    python -m rehearsal.plugins <package>

REHEARSAL_WORLD names the folder of the world that it acts on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from rehearsal import providers
from rehearsal.cloud.world import World
from rehearsal.plugins.home import WORLD
from rehearsal.plugins.provider import Provider

_AT_WORK = 32  # calls side by side: as many as the engine makes by default on sixteen cores
_LOOK_AFTER_ENGINE = 0.2  # seconds


def main(package: str) -> None:
    """Serve one package's handlers."""
    engine = os.getppid()
    world = World(Path(os.environ[WORLD]))
    server = grpc.server(ThreadPoolExecutor(_AT_WORK, thread_name_prefix="call"), options=_GRPC_CHANNEL_OPTIONS)
    served = Provider(package, providers.resources(world, [package]), providers.functions(world, [package]))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    # The engine interrupts its plugins when it is done; one that is killed can't, and nothing of a rehearsal goes on
    # by itself.
    with contextlib.suppress(KeyboardInterrupt):
        while os.getppid() == engine:
            time.sleep(_LOOK_AFTER_ENGINE)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
