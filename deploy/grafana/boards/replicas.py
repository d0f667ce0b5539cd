"""The replicas, and what they see of Postgres."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import database
from . import parts as p
from .parts import GREEN, QUARTER, RED, THIRD, YELLOW, Column, graph, number, query, steps

JOB = 'job="$job"'
ONE = 'job="$job", instance=~"$instance"'
HTTP = "intent_bus_http_request_duration_seconds"
CLIENT = f'{ONE}, route!~"/livez|/readyz|/health|/metrics"'
# Those that answer at once: a claim may wait for a minute, and means to.
PROMPT = f'{ONE}, route!~"/livez|/readyz|/health|/metrics|/claim"'


def build() -> Dashboard:
    return p.board(
        "intent-bus-replicas",
        "Intent Bus: replicas and Postgres",
        "Requests, flights, connections, processes, and the tables that all of it ends in.",
        [
            p.variable(
                "instance",
                "Replica",
                'label_values(intent_bus_build_info{job="$job"}, instance)',
                "As Prometheus scrapes it.",
            )
        ],
        [
            ("Now", now()),
            ("HTTP", http()),
            ("Flights and connections", database.flights()),
            ("Processes", processes()),
            ("Postgres", database.tables()),
            ("Maintenance", database.maintenance()),
        ],
    )


def now() -> list:
    errors = p.rate_of(f"{HTTP}_count", f'{CLIENT}, status=~"5.."')
    return [
        number(
            "Replicas scraped",
            "Replicas that Prometheus reaches.",
            "short",
            f"sum(up{{{JOB}}})",
            steps(RED, (1, YELLOW), (2, GREEN)),
            width=3,
        ),
        number(
            "Replicas that live",
            "Replicas that gave Postgres a sign of life in the last 30 s. More than are scraped: Prometheus "
            "misses some.",
            "short",
            p.bus("intent_bus_replicas", JOB),
            steps(RED, (1, YELLOW), (2, GREEN)),
            width=3,
        ),
        number(
            "Requests",
            "Requests answered in a second, probes and scrapes left out.",
            "reqps",
            p.rate_of(f"{HTTP}_count", CLIENT),
            width=3,
        ),
        number(
            "Requests that fail",
            "Share answered with 5xx.",
            "percentunit",
            f"({errors} or vector(0)) / {p.rate_of(f'{HTTP}_count', CLIENT)}",
            steps(GREEN, (0.001, YELLOW), (0.01, RED)),
            width=3,
        ),
        number(
            "p99",
            "Of all requests but claims, which may wait for work.",
            "s",
            p.quantile(0.99, HTTP, PROMPT),
            steps(GREEN, (0.25, YELLOW), (1, RED)),
            width=3,
        ),
        number(
            "Waiting for a connection",
            "Requests that wait for one of Postgres. More than 0 for long: the pool is too small, or Postgres "
            "too slow.",
            "short",
            f'sum(intent_bus_database_connections{{{ONE}, state="waited_for"}})',
            steps(GREEN, (1, YELLOW), (10, RED)),
            width=3,
        ),
        number(
            "Oldest snapshot",
            "Age of the oldest transaction on the Postgres server that keeps dead rows from being removed.",
            "s",
            p.bus("intent_bus_database_oldest_snapshot_seconds", JOB),
            steps(GREEN, (300, YELLOW), (3600, RED)),
            width=3,
        ),
        number(
            "Clock offset",
            "The largest difference between a replica's clock and the database's. Signatures allow 300 s.",
            "s",
            f"max(abs(intent_bus_clock_offset_seconds{{{ONE}}}))",
            steps(GREEN, (1, YELLOW), (5, RED)),
            width=3,
        ),
        p.rows(
            "Replicas",
            "What runs. A start is also marked on every graph of these dashboards.",
            [
                Column(
                    "Started",
                    f"1000 * max by (instance, version) (process_start_time_seconds{{{ONE}}}"
                    f" * on (instance) group_left (version) intent_bus_build_info{{{ONE}}})",
                    "dateTimeFromNow",
                ),
                Column("Requests/s", p.rate_of(f"{HTTP}_count", CLIENT, "instance", "5m"), "reqps"),
                Column("CPU", p.rate_of("process_cpu_seconds_total", ONE, "instance", "5m"), "percentunit"),
                Column("Memory", f"sum by (instance) (process_resident_memory_bytes{{{ONE}}})", "bytes"),
                Column("Waiting claims", f"sum by (instance) (intent_bus_waiting_claims{{{ONE}}})"),
                Column("Connections", f'sum by (instance) (intent_bus_database_connections{{{ONE}, state="open"}})'),
                Column("Clock offset", f"sum by (instance) (intent_bus_clock_offset_seconds{{{ONE}}})", "s"),
            ],
            ["instance", "version"],
            "Started",
            height=6,
        ),
    ]


def http() -> list:
    return [
        graph(
            "Requests by route",
            "Answered in a second, with probes.",
            "reqps",
            query(p.rate_of(f"{HTTP}_count", ONE, "method, route"), "{{method}} {{route}}"),
        ),
        graph(
            "Answers by status",
            "2xx and 204 (nothing to claim) are the normal ones; 429 is a limit; 503 is Postgres, or maintenance mode.",
            "reqps",
            query(p.rate_of(f"{HTTP}_count", CLIENT, "status"), "{{status}}"),
            stacked=True,
        ),
        graph(
            "Requests that fail, by route",
            "Answered with 5xx, in a second. With probes: `/readyz` says 503 while a replica drains or "
            "Postgres is away.",
            "reqps",
            query(
                p.rate_of(f"{HTTP}_count", f'{ONE}, status=~"5.."', "method, route, status"),
                "{{method}} {{route}} {{status}}",
            ),
            width=THIRD,
        ),
        graph(
            "p50 by route",
            "Half of the requests take no longer. Claims wait for work, and mean to.",
            "s",
            query(p.quantile(0.5, HTTP, CLIENT, "route"), "{{route}}"),
            width=THIRD,
            log=True,
        ),
        graph(
            "p99 by route",
            "All but one of a hundred take no longer.",
            "s",
            query(p.quantile(0.99, HTTP, CLIENT, "route"), "{{route}}"),
            width=THIRD,
            log=True,
        ),
        graph(
            "Requests in flight",
            "Not answered yet, with claims that wait.",
            "short",
            query(f"sum by (instance) (intent_bus_http_requests_in_flight{{{ONE}}})", "{{instance}}"),
            width=THIRD,
        ),
        graph(
            "Operations by outcome",
            "Intents and claims, not requests: a request may carry a thousand.",
            "short",
            query(p.rate_of("intent_bus_operations_total", ONE, "operation, outcome"), "{{operation}} {{outcome}}"),
            width=THIRD,
        ),
        graph(
            "Refusals",
            "Signatures: `replayed` was used before, `stale` is too old, `bad` does not match. Rate limit: the tenant "
            "has used "
            "up its minute.",
            "reqps",
            query(p.rate_of("intent_bus_signature_rejections_total", ONE, "reason"), "signature: {{reason}}"),
            query(p.rate_of("intent_bus_rate_limited_total", ONE), "rate limit"),
            width=THIRD,
        ),
    ]


def processes() -> list:
    return [
        graph(
            "CPU",
            "Cores in use.",
            "short",
            query(p.rate_of("process_cpu_seconds_total", ONE, "instance"), "{{instance}}"),
            width=QUARTER,
        ),
        graph(
            "Memory",
            "Resident. 11 MiB at rest, about 60 MiB with 2,000 claims that wait.",
            "bytes",
            query(f"sum by (instance) (process_resident_memory_bytes{{{ONE}}})", "{{instance}}"),
            width=QUARTER,
        ),
        graph(
            "Open files",
            "Share of the limit. Each client's connection is one.",
            "percentunit",
            query(
                f"sum by (instance) (process_open_fds{{{ONE}}}) / sum by (instance) (process_max_fds{{{ONE}}})",
                "{{instance}}",
            ),
            width=QUARTER,
            ceiling=1,
        ),
        graph(
            "Clock offset",
            "The replica's clock less the database's.",
            "s",
            query(f"sum by (instance) (intent_bus_clock_offset_seconds{{{ONE}}})", "{{instance}}"),
            width=QUARTER,
            floor=None,
        ),
        graph(
            "Versions",
            "Replicas by version. Two for longer than a roll-out takes: it is stuck.",
            "short",
            query(f"count by (version) (intent_bus_build_info{{{ONE}}})", "{{version}}"),
            width=THIRD,
            stacked=True,
        ),
        graph(
            "Threads",
            "Of each process.",
            "short",
            query(f"sum by (instance) (process_threads{{{ONE}}})", "{{instance}}"),
            width=THIRD,
        ),
        graph(
            "Log lines and spans not sent",
            "In a minute: lines that repeated others, lines that nobody read in time, spans that the collector did not take.",
            "short",
            query(f"60 * {p.rate_of('intent_bus_log_lines_suppressed_total', ONE, 'instance')}", "{{instance}}, repeated"),
            query(f"60 * {p.rate_of('intent_bus_log_lines_lost_total', ONE, 'instance')}", "{{instance}}, unread"),
            query(f"60 * {p.rate_of('intent_bus_spans_dropped_total', ONE, 'instance')}", "{{instance}}, spans"),
            width=THIRD,
        ),
    ]
