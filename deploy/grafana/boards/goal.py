"""One goal, or one namespace, or several of them."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import parts as p
from .parts import GREEN, HALF, RED, THIRD, YELLOW, Column, graph, number, quantiles, query, steps

WHICH = 'job="$job", namespace=~"$namespace", goal=~"$goal"'
# A pause without a goal holds for the whole namespace.
PAUSED = 'job="$job", namespace=~"$namespace", goal=~"$goal|"'
NAMESPACE = 'job="$job", namespace=~"$namespace"'
WHICH_CLAIMABLE = f'{WHICH}, phase="claimable"'
CLAIMABLE = f"sum({p.bus('intent_bus_open_intents', WHICH_CLAIMABLE, 'namespace, goal')})"
# By which the backlog grows in a second. Not publications less claims: delays and repetitions come between.
GROWTH = f"deriv({CLAIMABLE}[5m:10s])"
AGES = steps(GREEN, (60, YELLOW), (300, RED))


def build() -> Dashboard:
    of = "label_values(intent_bus_published_total{{{}}}, {})"
    return p.board(
        "intent-bus-goal",
        "Intent Bus: goal",
        "One goal or namespace: its flow, its backlog, its times, its failures. Goals with few intents are in `other`.",
        [
            p.variable(
                "namespace", "Namespace", of.format('job="$job"', "namespace"), "Of the bus, not of Kubernetes."
            ),
            p.variable(
                "goal",
                "Goal",
                of.format(NAMESPACE, "goal"),
                "Goals of that namespace. `other`: all that have no series of their own.",
            ),
        ],
        [
            ("Now", now()),
            ("Flow and backlog", flow()),
            ("How long does it take?", times()),
            ("What ends badly?", endings()),
        ],
    )


def now() -> list:
    buried = p.count_of("intent_bus_buried_total", f'{WHICH}, reason!="cancelled"')
    failed = p.count_of("intent_bus_failed_attempts_total", WHICH)
    return [
        number("Claimable", "Intents that a worker could have now.", "short", CLAIMABLE, width=3),
        number(
            "Oldest claimable",
            "For how long the oldest has been claimable.",
            "s",
            p.bus("intent_bus_oldest_claimable_age_seconds", WHICH),
            AGES,
            width=3,
        ),
        number(
            "Backlog is gone in",
            "If it goes on shrinking as in the last 5 minutes.",
            "s",
            f"{CLAIMABLE} / (-{GROWTH} > 0)",
            width=3,
            empty="not shrinking",
        ),
        number(
            "Paused",
            "Whether operators hold it back: nothing of it is handed out.",
            "bool_yes_no",
            f"{p.bus('intent_bus_paused', PAUSED)} or vector(0)",
            steps(GREEN, (1, YELLOW)),
            width=3,
            graph=False,
        ),
        number(
            "Wait for a claim, p90",
            "Nine of ten claims took place within this time.",
            "s",
            p.quantile(0.9, "intent_bus_claim_wait_seconds", WHICH),
            width=3,
        ),
        number(
            "Work, p90",
            "Nine of ten took their workers no longer than this.",
            "s",
            p.quantile(0.9, "intent_bus_work_seconds", WHICH),
            width=3,
        ),
        number(
            "Attempts that fail",
            "Of the claims in the time shown, the share that was reported as failed or lapsed.",
            "percentunit",
            f"({failed} or vector(0)) / {p.count_of('intent_bus_claimed_total', WHICH)}",
            steps(GREEN, (0.05, YELLOW), (0.25, RED)),
            width=3,
        ),
        number(
            "Intents that die",
            "Of the intents that ended in the time shown, the share that died, those that were cancelled not counted.",
            "percentunit",
            f"({buried} or vector(0)) / (({buried} or vector(0)) + {p.count_of('intent_bus_fulfilled_total', WHICH)})",
            steps(GREEN, (0.01, YELLOW), (0.05, RED)),
            width=3,
        ),
    ]


def flow() -> list:
    return [
        graph(
            "Flow",
            "Intents published, claims made, intents fulfilled, attempts failed, in a second.",
            "short",
            *(
                query(p.rate_of(f"intent_bus_{metric}_total", WHICH), legend)
                for metric, legend in [
                    ("published", "published"),
                    ("claimed", "claimed"),
                    ("fulfilled", "fulfilled"),
                    ("failed_attempts", "failed"),
                ]
            ),
        ),
        graph(
            "Unfinished intents",
            "claimable: they wait for a worker. waiting: not due yet, delayed or backing off. claimed: a worker "
            "has them. past_lease: the lease ended, the pause before the next attempt has not.",
            "short",
            query(f"sum by (phase) ({p.bus('intent_bus_open_intents', WHICH, 'namespace, goal, phase')})", "{{phase}}"),
            stacked=True,
        ),
        graph(
            "Oldest claimable",
            "A line that climbs by a second in each second: nothing is claimed, or always something else first.",
            "s",
            query(
                p.bus("intent_bus_oldest_claimable_age_seconds", WHICH, "namespace, goal"), "{{namespace}} / {{goal}}"
            ),
            thresholds=AGES,
        ),
        graph(
            "Growth of the backlog",
            "By how many claimable intents in a second, over 5 minutes. Below 0 it shrinks.",
            "short",
            query(GROWTH, "growth"),
            floor=None,
        ),
    ]


def times() -> list:
    panels = []
    for title, metric, text in [
        (
            "Wait for a claim",
            "intent_bus_claim_wait_seconds",
            "From the moment at which an intent could be claimed to its claim.",
        ),
        ("Work", "intent_bus_work_seconds", "From the claim to the fulfilment."),
        (
            "Completion",
            "intent_bus_completion_seconds",
            "From the publication to the fulfilment, with delays and repetitions.",
        ),
    ]:
        panels.append(graph(title, text, "s", *quantiles(metric, WHICH), width=THIRD, log=True))
    panels.append(
        p.spread(
            "Waits for a claim, spread",
            "How many claims had waited for how long.",
            "intent_bus_claim_wait_seconds",
            WHICH,
        )
    )
    panels.append(
        p.spread(
            "Work, spread",
            "How many fulfilments had taken how long. Two bands: two kinds of work share the goal.",
            "intent_bus_work_seconds",
            WHICH,
        )
    )
    return panels


def endings() -> list:
    def rate(metric: str, by: str) -> str:
        return p.rate_of(metric, WHICH, by)

    return [
        graph(
            "Attempts that failed",
            "reported: the worker said so; the intent's page has the error. lapsed: the lease ended without "
            "an answer, so the worker died or was too slow.",
            "short",
            query(rate("intent_bus_failed_attempts_total", "reason"), "{{reason}}"),
            width=THIRD,
        ),
        graph(
            "Dead letters",
            "In a minute. failed: its attempts were used up. lapsed: the lease of the last one ended. expired: nobody "
            "claimed it in time. cancelled: by an operator.",
            "short",
            query(f"60 * {rate('intent_bus_buried_total', 'reason')}", "{{reason}}"),
            width=THIRD,
        ),
        graph(
            "Share of attempts that fail",
            "Of the claims, by goal.",
            "percentunit",
            query(
                f"{rate('intent_bus_failed_attempts_total', 'namespace, goal')} / "
                f"({rate('intent_bus_claimed_total', 'namespace, goal')} > 0)",
                "{{namespace}} / {{goal}}",
            ),
            width=THIRD,
            ceiling=1,
        ),
        graph(
            "Intents by state",
            "Of the whole namespace, as last counted.",
            "short",
            query(
                f"sum by (status) ({p.bus('intent_bus_intents_total', NAMESPACE, 'status, namespace')})", "{{status}}"
            ),
            log=True,
            width=HALF,
        ),
        p.rows(
            "Goals",
            "What has been selected, side by side.",
            [
                Column(
                    "Oldest claimable",
                    p.bus("intent_bus_oldest_claimable_age_seconds", WHICH, "namespace, goal"),
                    "s",
                    AGES,
                ),
                Column(
                    "Published/s", p.rate_of("intent_bus_published_total", WHICH, "namespace, goal", "5m"), decimals=2
                ),
                Column("Claimed/s", p.rate_of("intent_bus_claimed_total", WHICH, "namespace, goal", "5m"), decimals=2),
                Column(
                    "Failed/s",
                    p.rate_of("intent_bus_failed_attempts_total", WHICH, "namespace, goal", "5m"),
                    decimals=2,
                ),
                Column(
                    "Wait, p90", p.quantile(0.9, "intent_bus_claim_wait_seconds", WHICH, "namespace, goal", "5m"), "s"
                ),
                Column("Work, p90", p.quantile(0.9, "intent_bus_work_seconds", WHICH, "namespace, goal", "5m"), "s"),
            ],
            ["namespace", "goal"],
            "Oldest claimable",
            width=HALF,
            height=8,
        ),
    ]
