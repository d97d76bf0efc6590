"""Stands between proxy and server on a unix socket, changes nothing, and notes every connection; python3, no packages.

`tap.py LISTEN CONNECT NOTES`: a line of JSON for each connection that is over, both directions in base64, and whether
the server ended it. On SIGTERM it takes no more connections, lets the open ones end, and goes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys

PATIENCE = 10.0
"""Seconds that a server may take after the proxy hung up."""


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            kept += data
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


async def main(listen: str, connect: str, notes: str) -> None:
    serving: set[asyncio.Task[None]] = set()
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    with open(notes, "a", buffering=1) as file:  # noqa: PTH123

        async def serve(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            serving.add(task)
            sent, answered, hung_up = bytearray(), bytearray(), True
            try:
                server, to_server = await asyncio.open_unix_connection(connect)
                forth = asyncio.create_task(pump(client, to_server, sent))
                back = asyncio.create_task(pump(server, to_client, answered))
                first, _ = await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
                hung_up = back in first
                # A server that is done has heard all that counts; a proxy that is done may have left it work to do.
                await asyncio.wait({back}, timeout=PATIENCE)
                for task_ in (forth, back):
                    task_.cancel()
                to_server.close()
            finally:
                to_client.close()
                both = [base64.b64encode(data).decode() for data in (sent, answered)]
                file.write(json.dumps({"sent": both[0], "answered": both[1], "hung_up": hung_up}) + "\n")
                serving.discard(task)

        tap = await asyncio.start_unix_server(serve, listen, backlog=1024)
        os.chmod(listen, 0o666)  # noqa: PTH101
        await over.wait()
        tap.close()
        if serving:
            await asyncio.wait(serving, timeout=2 * PATIENCE)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
