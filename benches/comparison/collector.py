"""A collector of traces that keeps nothing: it answers every request, or with `hangs` none.

    python3 collector.py PORT [hangs]

OTLP by HTTP. Costs the machine next to nothing, so that what is measured is the bus.
"""

import asyncio
import os
import signal
import sys


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hangs: bool) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            if hangs:
                await asyncio.Event().wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    hangs = sys.argv[2:] == ["hangs"]
    server = await asyncio.start_server(lambda *streams: serve(*streams, hangs), "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    await server.serve_forever()


# Whoever hangs is not asked to finish.
signal.signal(signal.SIGINT, lambda *_: os._exit(0))
asyncio.run(main())
