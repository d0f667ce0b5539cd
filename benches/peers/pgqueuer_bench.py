"""pgqueuer, end to end: jobs added in calls of 1,000 while one worker that fetches 1,000 at a time runs them.

Set as its performance guide says (docs/guides/performance-tuning.md): asyncpg, a large batch for short jobs, a plain
connection for the worker and another for the producer, its autovacuum settings, durable tables. uvloop and one process
as in its own benchmark tool.
"""

import argparse
import asyncio
import json
import logging
import os
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

VERSION = "1.6.0"
PRODUCE = 1_000


async def main(seconds: float, batch: int) -> None:
    url = os.environ["DATABASE_URL"]
    producer = Queries(AsyncpgDriver(await asyncpg.connect(url)))
    await producer.install()
    await producer.optimize_autovacuum()
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(url)))
    handled = 0

    @pgq.entrypoint("bench")
    async def bench(job: Job) -> None:
        nonlocal handled
        handled += 1

    running = asyncio.create_task(pgq.run(batch_size=batch))
    added = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if added - handled > 5 * PRODUCE:
            await asyncio.sleep(0.001)
            continue
        payloads = [b'{"n": %d}' % n for n in range(added, added + PRODUCE)]
        await producer.enqueue(["bench"] * PRODUCE, payloads, [0] * PRODUCE)
        added += PRODUCE
    # The row of a job leaves the queue when its end is stored.
    check = await asyncpg.connect(url)
    while await check.fetchval("SELECT EXISTS (SELECT FROM pgqueuer)"):
        await asyncio.sleep(0.005)
    took = time.monotonic() - began
    pgq.shutdown.set()
    await asyncio.wait_for(running, 40)
    if handled < added:
        raise SystemExit(f"{added} jobs added, only {handled} run")
    print(json.dumps({
        "peer": "pgqueuer", "version": VERSION, "mode": f"end to end, batch {batch}, adds of {PRODUCE}",
        "jobs": added, "seconds": took, "jobs_per_second": added / took,
    }))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=1_000)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    uvloop.run(main(arguments.seconds, arguments.batch))
