"""The part of the dashboard on replicas that is about Postgres: what goes there, and what becomes of it there."""

from __future__ import annotations

from . import parts as p
from .parts import GREEN, HALF, ORANGE, QUARTER, RED, THIRD, YELLOW, graph, number, query, steps

JOB = 'job="$job"'
ONE = 'job="$job", instance=~"$instance"'


def flights() -> list:
    requests, flown = (p.rate_of(f"intent_bus_flight_requests_{part}", ONE, "kind") for part in ("sum", "count"))
    return [
        graph(
            "Flights",
            "Transactions that carry publishes, claims or fulfilments, in a second.",
            "short",
            query(p.rate_of("intent_bus_flight_duration_seconds_count", ONE, "kind"), "{{kind}}"),
            width=QUARTER,
        ),
        graph(
            "Requests in a flight",
            "On average. More under load: what arrives together shares a commit.",
            "short",
            query(f"{requests} / {flown}", "{{kind}}"),
            width=QUARTER,
        ),
        graph(
            "Time of a flight, p99",
            "Postgres at work: with a commit, so with a flush of its disk.",
            "s",
            query(p.quantile(0.99, "intent_bus_flight_duration_seconds", ONE, "kind"), "{{kind}}"),
            width=QUARTER,
            log=True,
        ),
        graph(
            "Queued for a flight",
            "Intents and claims. Above 20,000 a replica refuses with 503 `database_busy`.",
            "short",
            query(f"sum by (kind) (intent_bus_queued_items{{{ONE}}})", "{{kind}}"),
            width=QUARTER,
        ),
        graph(
            "Connections to Postgres",
            "Open and idle ones of all replicas, requests that wait for one, and how many are allowed.",
            "short",
            query(f"sum by (state) (intent_bus_database_connections{{{ONE}}})", "{{state}}"),
            query(f"sum(intent_bus_database_connections_max{{{ONE}}})", "allowed"),
            width=THIRD,
        ),
        graph(
            "Connections in use, by replica",
            "The share of its pool that a replica uses.",
            "percentunit",
            query(
                f'(sum by (instance) (intent_bus_database_connections{{{ONE}, state="open"}})'
                f' - sum by (instance) (intent_bus_database_connections{{{ONE}, state="idle"}}))'
                f" / sum by (instance) (intent_bus_database_connections_max{{{ONE}}})",
                "{{instance}}",
            ),
            width=THIRD,
            ceiling=1,
        ),
        graph(
            "Claims that wait for work, by replica",
            "Long-polls. They cost memory, not connections to Postgres.",
            "short",
            query(f"sum by (instance) (intent_bus_waiting_claims{{{ONE}}})", "{{instance}}"),
            width=THIRD,
        ),
    ]


def last(metric: str, selector: str = ONE) -> str:
    """For how long something has not happened, at the replica where that is worst."""
    return f"time() - min({metric}{{{selector}}} > 0)"


def tables() -> list:
    def of(metric: str) -> str:
        return p.bus(metric, JOB, "table")

    return [
        graph(
            "Rows",
            "Live rows by Postgres's own estimate, partitions added up.",
            "short",
            query(of("intent_bus_database_live_rows"), "{{table}}"),
            width=THIRD,
            log=True,
        ),
        graph(
            "Dead rows",
            "What vacuum has not removed yet. They grow while an old snapshot stands.",
            "short",
            query(of("intent_bus_database_dead_rows"), "{{table}}"),
            width=THIRD,
        ),
        graph(
            "Size",
            "With indexes, partitions added up.",
            "bytes",
            query(of("intent_bus_database_table_bytes"), "{{table}}"),
            width=THIRD,
            stacked=True,
        ),
        graph(
            "Oldest snapshot",
            "Vacuum removes nothing younger. Seconds are normal; minutes are a report or a backup; hours are somebody "
            "who forgot a transaction, or a replication slot.",
            "s",
            query(p.bus("intent_bus_database_oldest_snapshot_seconds", JOB), "oldest snapshot"),
            thresholds=steps(GREEN, (300, YELLOW), (3600, RED)),
            width=THIRD,
        ),
        graph(
            "Partitions",
            "One a day, some days ahead. They stay in number; if they grow, maintenance does not drop them.",
            "short",
            query(of("intent_bus_database_partitions"), "{{table}}"),
            width=THIRD,
        ),
        graph(
            "Largest partitions",
            "With indexes. A day that is much larger than the others is a day with much traffic, or with large payloads.",
            "bytes",
            query(f"topk(10, {p.bus('intent_bus_database_partition_bytes', JOB, 'table, partition')})", "{{partition}}"),
            width=THIRD,
        ),
        graph(
            "Nonces",
            "Kept for replay protection, by estimate: those of the last 20 to 30 minutes.",
            "short",
            query(p.bus("intent_bus_nonces", JOB), "nonces"),
            width=THIRD,
        ),
        number(
            "Keys of tenants",
            "Keys that tenants may use.",
            "short",
            p.bus("intent_bus_tester_keys_total", JOB),
            width=QUARTER,
        ),
        number(
            "Paused",
            "Goals and namespaces that are paused.",
            "short",
            p.bus("intent_bus_pauses", JOB),
            steps(GREEN, (1, ORANGE)),
            width=QUARTER,
        ),
        number(
            "Counted",
            "For how long unfinished intents have not been counted. With millions of them it is minutes.",
            "s",
            f"time() - {p.bus('intent_bus_counted_timestamp_seconds', JOB)}",
            steps(GREEN, (300, YELLOW), (900, RED)),
            width=QUARTER,
        ),
        number(
            "Read",
            "For how long the replica that is worst off has not read the metrics of the bus. They are read every 10 s.",
            "s",
            last("intent_bus_read_timestamp_seconds"),
            steps(GREEN, (60, YELLOW), (120, RED)),
            width=QUARTER,
        ),
    ]


def maintenance() -> list:
    return [
        graph(
            "What maintenance did",
            "Rows, partitions and slots in a minute, by kind.",
            "short",
            query(f"60 * {p.rate_of('intent_bus_maintenance_total', ONE, 'kind')}", "{{kind}}"),
            width=HALF,
        ),
        graph(
            "Time since maintenance succeeded",
            "By replica. A pass begins 30 s after the one before (`BUS_CLEANUP_INTERVAL_SECONDS`).",
            "s",
            query(
                f"time() - max by (instance) (intent_bus_maintenance_last_success_timestamp_seconds{{{ONE}}} > 0)",
                "{{instance}}",
            ),
            thresholds=steps(GREEN, (120, YELLOW), (300, RED)),
            width=HALF,
        ),
    ]
