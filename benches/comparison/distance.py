"""A database that is further away: a TCP proxy that hands on each piece a fixed time after it came, whatever the number of pieces.

`tc netem` does that where the kernel has it; this does it anywhere. It takes CPU itself, so a distance is to be compared
with a distance of 0, through the same proxy.
"""

import asyncio
import contextlib
import sys


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """One direction of a connection. Pieces keep their order and their distance in time."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 18):
            if seconds:
                loop.call_later(seconds, writer.write, piece)
            else:
                writer.write(piece)
            await writer.drain()
    loop.call_later(seconds, writer.close)


async def serve(port: int, database: int, seconds: float) -> None:
    """Listens until the process is ended. Half of the time goes to each direction."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", database)
        await asyncio.gather(hand_on(reader, behind[1], seconds / 2), hand_on(behind[0], writer, seconds / 2))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
