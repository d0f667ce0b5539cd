"""Does work flow, what is stuck, and why?"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import parts as p
from .parts import GREEN, HALF, ORANGE, QUARTER, RED, ROW, THIRD, YELLOW, Column, graph, number, quantiles, query, steps

JOB = 'job="$job"'
# What nobody calls for.
DIED = f'{JOB}, reason!="cancelled"'
CLIENT = f'{JOB}, route!~"/livez|/readyz|/health|/metrics"'
TO_GOAL = (
    "/d/intent-bus-goal/intent-bus-goal?${__url_time_range}&${datasource:queryparam}&${job:queryparam}"
    "&var-namespace=${__data.fields.namespace}&var-goal=${__data.fields.goal}"
)
AGES = steps(GREEN, (60, YELLOW), (300, RED))


def build() -> Dashboard:
    return p.board(
        "intent-bus-overview",
        "Intent Bus: overview",
        "Does work flow, what is stuck, and why. One bus: all replicas that a job of Prometheus scrapes.",
        [],
        [
            ("Now", now()),
            ("Does it flow?", flow()),
            ("What is stuck, and why?", stuck()),
            ("How long does it take?", times()),
            ("What ends badly?", endings()),
            ("Alerts", [alerts()]),
        ],
    )


def now() -> list:
    open_intents = p.bus("intent_bus_open_intents", f'{JOB}, phase="claimable"', "namespace, goal")
    errors = p.rate_of("intent_bus_http_request_duration_seconds_count", f'{CLIENT}, status=~"5.."')
    requests = p.rate_of("intent_bus_http_request_duration_seconds_count", CLIENT)
    return [
        number(
            "Published",
            "Intents published in a second, by all replicas.",
            "short",
            p.rate_of("intent_bus_published_total", JOB),
            width=3,
        ),
        number(
            "Fulfilled",
            "Intents fulfilled in a second. Over a long time as many as are published, less those that die.",
            "short",
            p.rate_of("intent_bus_fulfilled_total", JOB),
            width=3,
        ),
        number(
            "Claimable",
            "Intents that a worker could have now and has not: the backlog.",
            "short",
            f"sum({open_intents})",
            width=3,
        ),
        number(
            "Oldest claimable",
            "For how long the oldest of them has been claimable. This, more than their number, says whether workers "
            "keep up. "
            "At BUS_INTENT_TTL_SECONDS (24 h) intents die.",
            "s",
            p.bus("intent_bus_oldest_claimable_age_seconds", JOB),
            AGES,
            width=3,
        ),
        number(
            "Dead letters",
            "Dead intents that are kept, as last counted.",
            "short",
            p.bus("intent_bus_dead_letters_total", JOB),
            width=3,
        ),
        number(
            "Died in the last hour",
            "Intents that became dead letters, those that were cancelled not counted.",
            "short",
            f"{p.count_of('intent_bus_buried_total', DIED, window='1h')} or vector(0)",
            steps(GREEN, (1, YELLOW), (100, RED)),
            width=3,
            decimals=0,
        ),
        number(
            "Requests that fail",
            "Share of requests answered with 5xx. Probes and scrapes are left out.",
            "percentunit",
            f"({errors} or vector(0)) / {requests}",
            steps(GREEN, (0.001, YELLOW), (0.01, RED)),
            width=3,
        ),
        number(
            "Workers",
            "Workers that asked for work in the last 5 minutes.",
            "short",
            p.bus("intent_bus_workers", JOB),
            steps(RED, (1, GREEN)),
            width=3,
        ),
    ]


def flow() -> list:
    return [
        graph(
            "Flow",
            "Intents published, claims made, intents fulfilled in a second. Claims above publications: attempts are "
            "repeated, or a backlog is worked off.",
            "short",
            query(p.rate_of("intent_bus_published_total", JOB), "published"),
            query(p.rate_of("intent_bus_claimed_total", JOB), "claimed"),
            query(p.rate_of("intent_bus_fulfilled_total", JOB), "fulfilled"),
        ),
        graph(
            "Unfinished intents",
            "By what they are waiting for. claimable: for a worker. waiting: not due yet, delayed by the "
            "publisher or backing off after a failure. claimed: a worker has it. past_lease: its worker's lease ended, "
            "and "
            "the pause before the next attempt has not.",
            "short",
            query(f"sum by (phase) ({p.bus('intent_bus_open_intents', JOB, 'namespace, goal, phase')})", "{{phase}}"),
            stacked=True,
        ),
        graph(
            "Published, by goal",
            "The goals that are published most.",
            "short",
            query(
                f"topk(10, {p.rate_of('intent_bus_published_total', JOB, 'namespace, goal')})",
                "{{namespace}} / {{goal}}",
            ),
            width=THIRD,
        ),
        graph(
            "Claims that wait for work",
            "Requests that wait at a replica (`wait=`): workers with nothing to do. 0 together with "
            "a backlog: there are too few workers.",
            "short",
            query(f"sum(intent_bus_waiting_claims{{{JOB}}})", "waiting claims"),
            width=THIRD,
        ),
        graph(
            "Claims by outcome",
            "done: intents handed out. empty: asked and found nothing. Everything else is a refusal.",
            "short",
            query(p.rate_of("intent_bus_operations_total", f'{JOB}, operation="claim"', "outcome"), "{{outcome}}"),
            width=THIRD,
        ),
    ]


def stuck() -> list:
    def open_in(phase: str) -> str:
        return p.bus("intent_bus_open_intents", f'{JOB}, phase="{phase}"', "namespace, goal")

    def rate(metric: str) -> str:
        return p.rate_of(metric, JOB, "namespace, goal", "5m")

    return [
        p.rows(
            "Goals",
            "Where work is stuck: the oldest first. Nothing claimed: no worker asks for this goal, or none has the "
            "capability or is the target, or it is paused. Claimed, but older all the time: too few workers. Many "
            "waiting and failures: attempts back off. Many past their lease: workers die or are too slow. A click "
            "leads to the goal.",
            [
                Column(
                    "Oldest claimable",
                    p.bus("intent_bus_oldest_claimable_age_seconds", JOB, "namespace, goal"),
                    "s",
                    AGES,
                ),
                Column("Claimable", open_in("claimable")),
                Column("Waiting", open_in("waiting")),
                Column("Claimed", open_in("claimed")),
                Column("Past lease", open_in("past_lease"), thresholds=steps(GREEN, (1, ORANGE))),
                Column("Published/s", rate("intent_bus_published_total"), decimals=2),
                Column("Claimed/s", rate("intent_bus_claimed_total"), decimals=2),
                Column("Fulfilled/s", rate("intent_bus_fulfilled_total"), decimals=2),
                Column("Failed/s", rate("intent_bus_failed_attempts_total"), decimals=2),
                Column("Paused", p.bus("intent_bus_paused", JOB, "namespace, goal"), "bool_yes_no"),
            ],
            ["namespace", "goal"],
            "Oldest claimable",
            links={"goal": TO_GOAL},
        ),
        graph(
            "Oldest claimable, by goal",
            "A line that climbs by a second in each second: nothing of this goal is claimed, or "
            "always something of higher priority.",
            "s",
            query(
                f"topk(10, {p.bus('intent_bus_oldest_claimable_age_seconds', JOB, 'namespace, goal')} > 0)",
                "{{namespace}} / {{goal}}",
            ),
            thresholds=AGES,
        ),
        graph(
            "Backlog, by goal",
            "Claimable intents of the goals that have most of them.",
            "short",
            query(f"topk(10, {open_in('claimable')} > 0)", "{{namespace}} / {{goal}}"),
        ),
    ]


def times() -> list:
    return [
        graph(
            "Wait for a claim",
            "From the moment at which an intent could be claimed to its claim: how long work waits for workers.",
            "s",
            *quantiles("intent_bus_claim_wait_seconds", JOB),
            width=THIRD,
            log=True,
        ),
        graph(
            "Work",
            "From the claim to the fulfilment: how long workers take.",
            "s",
            *quantiles("intent_bus_work_seconds", JOB),
            width=THIRD,
            log=True,
        ),
        graph(
            "Completion",
            "From the publication to the fulfilment: what the publisher waits, with delays and repetitions.",
            "s",
            *quantiles("intent_bus_completion_seconds", JOB),
            width=THIRD,
            log=True,
        ),
    ]


def endings() -> list:
    return [
        graph(
            "Attempts that failed",
            "reported: the worker said so. lapsed: its lease ended without an answer.",
            "short",
            query(p.rate_of("intent_bus_failed_attempts_total", JOB, "reason"), "{{reason}}"),
            width=QUARTER,
        ),
        graph(
            "Dead letters, by reason",
            "In a minute. failed: its attempts were used up. lapsed: the lease of the last one ended. "
            "expired: nobody claimed it in time. cancelled: by an operator.",
            "short",
            query(f"60 * {p.rate_of('intent_bus_buried_total', JOB, 'reason')}", "{{reason}}"),
            width=QUARTER,
        ),
        graph(
            "Failed attempts, by goal",
            "The goals whose attempts fail most, in a second.",
            "short",
            query(
                f"topk(10, {p.rate_of('intent_bus_failed_attempts_total', JOB, 'namespace, goal')} > 0)",
                "{{namespace}} / {{goal}}",
            ),
            width=QUARTER,
        ),
        graph(
            "Dead letters, by goal",
            "The goals with most new dead letters, in a minute.",
            "short",
            query(
                f"topk(10, 60 * {p.rate_of('intent_bus_buried_total', JOB, 'namespace, goal')} > 0)",
                "{{namespace}} / {{goal}}",
            ),
            width=QUARTER,
        ),
        graph(
            "Intents by state",
            "All that are kept, as last counted: unfinished ones, and finished ones of the last days.",
            "short",
            query(f"sum by (status) ({p.bus('intent_bus_intents_total', JOB, 'status, namespace')})", "{{status}}"),
            log=True,
        ),
        graph(
            "Requests refused",
            "Requests for intents answered with an error of the client, by its code, in a second. `replayed`, "
            "`stale` and `bad` are signatures.",
            "short",
            query(p.rate_of("intent_bus_operations_total", f'{JOB}, outcome!~"done|empty"', "outcome"), "{{outcome}}"),
            query(p.rate_of("intent_bus_signature_rejections_total", JOB, "reason"), "signature: {{reason}}"),
            query(p.rate_of("intent_bus_rate_limited_total", JOB), "rate limit"),
            width=HALF,
        ),
    ]


def alerts():
    return p.rows(
        "Alerts of this bus",
        "Alerts of deploy/prometheus/rules.yaml that are pending or fire. Each has a section in the runbook, linked "
        "above. Empty: all is well, or Prometheus does not load the rules.",
        [Column("Value", f'ALERTS{{{JOB}, alertname=~"IntentBus.+"}}')],
        ["alertstate", "severity", "alertname", "namespace", "goal", "instance"],
        "severity",
        width=ROW,
        height=8,
        dropped=("Value", "__name__", "job"),
        empty="No alert is pending or fires.",
    )
