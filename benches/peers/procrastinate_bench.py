"""procrastinate, end to end: jobs added in calls of 100 while several workers of one process run 8 at once each.

Set as its documents say for many short jobs: the asynchronous psycopg connector with a pool, batch_defer, concurrency,
finished jobs deleted. It has no way to fetch or finish several jobs in one statement, so one row a transaction is its
limit, like that of pgbench.
"""

import argparse
import asyncio
import json
import logging
import os
import time

import procrastinate
import psycopg
import uvloop

VERSION = "3.10.0"
PRODUCE = 100


async def main(seconds: float, workers: int) -> None:
    url = os.environ["DATABASE_URL"]
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=4 * workers + 4)
    )
    handled = 0

    @app.task(name="bench")
    async def bench(n: int) -> None:
        nonlocal handled
        handled += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        running = [
            asyncio.create_task(
                app.run_worker_async(
                    concurrency=8, delete_jobs="always", fetch_job_polling_interval=0.05, install_signal_handlers=False
                )
            )
            for _ in range(workers)
        ]
        added = 0
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if added - handled > 2 * PRODUCE:
                await asyncio.sleep(0.001)
                continue
            await bench.batch_defer_async(*({"n": n} for n in range(added, added + PRODUCE)))
            added += PRODUCE
        check = await psycopg.AsyncConnection.connect(url, autocommit=True)
        while (await (await check.execute("SELECT EXISTS (SELECT FROM procrastinate_jobs)")).fetchone())[0]:
            await asyncio.sleep(0.005)
        took = time.monotonic() - began
        await check.close()
        for worker in running:
            worker.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if handled < added:
        raise SystemExit(f"{added} jobs added, only {handled} run")
    print(json.dumps({
        "peer": "procrastinate", "version": VERSION,
        "mode": f"end to end, {workers} workers, adds of {PRODUCE}",
        "jobs": added, "seconds": took, "jobs_per_second": added / took,
    }))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    uvloop.run(main(arguments.seconds, arguments.workers))
