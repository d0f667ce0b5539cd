"""What the dashboards are made of: queries, panels, variables, annotations.

Metrics of one replica are added up, `rate_of(…)`; those of the whole bus, which every replica repeats, are taken by
their maximum, `bus(…)`: see docs/metrics.md.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as c
from grafana_foundation_sdk.builders import dashboard as d
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as cm
from grafana_foundation_sdk.models import dashboard as dm
from grafana_foundation_sdk.models import heatmap as hm
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dm.DataSourceRef(type_val="prometheus", uid="${datasource}")
DOCUMENTS = "https://github.com/intent-bus/intent-bus/blob/main/docs"
GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE, GREY = "green", "yellow", "orange", "red", "blue", "purple", "gray"
# One colour for one thing, on every dashboard.
COLOURS = {
    "published": BLUE,
    "claimed": YELLOW,
    "fulfilled": GREEN,
    "failed": ORANGE,
    "lapsed": PURPLE,
    "dead": RED,
    "claimable": ORANGE,
    "waiting": GREY,
    "past_lease": PURPLE,
    "open": ORANGE,
    "p50": GREEN,
    "p90": YELLOW,
    "p99": RED,
}
ROW, HALF, THIRD, QUARTER = 24, 12, 8, 6


# --- Queries


def rate_of(metric: str, selector: str, by: str = "", window: str = "$__rate_interval") -> str:
    """A counter of the replicas, per second, added up."""
    return f"sum{by and f' by ({by}) '}(rate({metric}{{{selector}}}[{window}]))"


def count_of(metric: str, selector: str, by: str = "", window: str = "$__range") -> str:
    """By how much a counter of the replicas has grown."""
    return f"sum{by and f' by ({by}) '}(increase({metric}{{{selector}}}[{window}]))"


def bus(metric: str, selector: str, by: str = "") -> str:
    """A metric of the whole bus."""
    return f"max{by and f' by ({by}) '}({metric}{{{selector}}})"


def quantile(share: float, metric: str, selector: str, by: str = "", window: str = "$__rate_interval") -> str:
    """A quantile of a histogram of the replicas, over all of them."""
    buckets = rate_of(f"{metric}_bucket", selector, ", ".join(filter(None, ["le", by])), window)
    return f"histogram_quantile({share:g}, {buckets})"


def query(expr: str, legend: str = "", instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(expr).legend_format(legend)
    return made.instant() if instant else made.range()


def quantiles(metric: str, selector: str) -> list[prometheus.Dataquery]:
    return [
        query(quantile(share, metric, selector), name) for name, share in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
    ]


# --- Panels


def steps(first: str, *more: tuple[float, str]) -> d.ThresholdsConfig:
    """Colours by value: the first, and from each value on another."""
    made = [dm.Threshold(value=None, color=first), *(dm.Threshold(value=value, color=color) for value, color in more)]
    return d.ThresholdsConfig().mode(dm.ThresholdsMode.ABSOLUTE).steps(made)


def begun(panel, title: str, description: str, queries: list[prometheus.Dataquery], width: int, height: int):
    panel.title(title).description(description).datasource(SOURCE).span(width).height(height)
    for number, each in enumerate(queries):
        panel.with_target(each.ref_id(chr(ord("A") + number)).datasource(SOURCE))
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    expr: str,
    thresholds=None,
    width: int = 4,
    graph: bool = True,
    decimals: int | None = None,
    empty: str = "0",
) -> stat.Panel:
    """One number, coloured by its thresholds, with its course behind it."""
    panel = begun(stat.Panel(), title, description, [query(expr)], width, 4).unit(unit).no_value(empty)
    panel.reduce_options(c.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    panel.graph_mode(cm.BigValueGraphMode.AREA if graph else cm.BigValueGraphMode.NONE)
    panel.color_mode(cm.BigValueColorMode.VALUE if thresholds else cm.BigValueColorMode.NONE)
    panel.thresholds(thresholds or steps(GREEN))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: prometheus.Dataquery,
    width: int = HALF,
    stacked: bool = False,
    thresholds=None,
    log: bool = False,
    floor: float | None = 0,
    ceiling: float | None = None,
    table_legend: bool = True,
) -> timeseries.Panel:
    """Lines over time, or areas on top of each other."""
    panel = begun(timeseries.Panel(), title, description, list(queries), width, 8).unit(unit)
    panel.line_width(1).fill_opacity(30 if stacked else 8).show_points(cm.VisibilityMode.NEVER)
    panel.span_nulls(False)
    panel.tooltip(c.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING))
    legend = c.VizLegendOptions().show_legend(True).placement(cm.LegendPlacement.BOTTOM)
    if table_legend:
        legend.display_mode(cm.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"]).sort_by("Last *").sort_desc(True)
    else:
        legend.display_mode(cm.LegendDisplayMode.LIST).calcs([])
    panel.legend(legend)
    if stacked:
        panel.stacking(c.StackingConfig().mode(cm.StackingMode.NORMAL).group("A"))
    if thresholds:
        panel.thresholds(thresholds)
        panel.thresholds_style(c.GraphThresholdsStyleConfig().mode(cm.GraphThresholdsStyleMode.DASHED))
    if log:
        panel.scale_distribution(c.ScaleDistributionConfig().type(cm.ScaleDistribution.LOG).log(10))
    elif floor is not None:
        panel.min(floor)
    if ceiling is not None:
        panel.max(ceiling)
    for name, colour in COLOURS.items():
        if any(each.build().legend_format == name for each in queries):
            panel.override_by_name(name, [painted(colour)])
    return panel


def painted(colour: str) -> dm.DynamicConfigValue:
    return dm.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def spread(title: str, description: str, metric: str, selector: str, width: int = HALF) -> heatmap.Panel:
    """How a histogram of seconds was spread, over time."""
    buckets = count_of(f"{metric}_bucket", selector, "le", "$__rate_interval")
    target = query(buckets, "{{le}}").format(PromQueryFormat.HEATMAP)
    panel = begun(heatmap.Panel(), title, description, [target], width, 8)
    panel.calculate(False).y_axis(heatmap.YAxisConfig().unit("s").axis_placement(cm.AxisPlacement.LEFT))
    panel.color(
        heatmap.HeatmapColorOptions().mode(hm.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5)
    )
    return panel.filter_values(heatmap.FilterValueRange().le(1e-9))


class Column:
    """A column of a table: its name, its query, how it is shown."""

    def __init__(self, name: str, expr: str, unit: str = "short", thresholds=None, decimals: int | None = None):
        self.name, self.expr, self.unit, self.thresholds, self.decimals = name, expr, unit, thresholds, decimals

    def properties(self) -> list[dm.DynamicConfigValue]:
        made = [dm.DynamicConfigValue(id_val="unit", value=self.unit)]
        if self.decimals is not None:
            made.append(dm.DynamicConfigValue(id_val="decimals", value=self.decimals))
        if self.thresholds:
            made.append(dm.DynamicConfigValue(id_val="thresholds", value=self.thresholds.build()))
            made.append(dm.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}))
        return made


def rows(
    title: str,
    description: str,
    columns: list[Column],
    labels: list[str],
    sort: str,
    width: int = ROW,
    height: int = 9,
    links: dict[str, str] | None = None,
    dropped: tuple[str, ...] = (),
    empty: str = "",
) -> table.Panel:
    """A table: a row for each combination of labels, a column for each query."""
    queries = [query(each.expr, instant=True).format(PromQueryFormat.TABLE) for each in columns]
    panel = begun(table.Panel(), title, description, queries, width, height).filterable(True).no_value(empty)
    fields = [f"Value #{chr(ord('A') + place)}" if len(columns) > 1 else "Value" for place in range(len(columns))]
    names = dict(zip(fields, [each.name for each in columns], strict=True))
    order = {field: place for place, field in enumerate([*labels, *fields])}
    panel.with_transformation(dm.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        dm.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {name: True for name in ("Time", *dropped)},
                "indexByName": order,
                "renameByName": names,
            },
        )
    )
    for each in columns:
        panel.override_by_name(each.name, each.properties())
    for name, url in (links or {}).items():
        link = {"title": "Show ${__value.raw}", "url": url}
        panel.override_by_name(name, [dm.DynamicConfigValue(id_val="links", value=[link])])
    return panel.sort_by([c.TableSortByFieldState().display_name(sort).desc(True)])


# --- Dashboards


def source_variable() -> d.DatasourceVariable:
    return d.DatasourceVariable("datasource").label("Data source").type("prometheus")


def variable(name: str, label: str, source: str, description: str, several: bool = True) -> d.QueryVariable:
    """A variable with the values that a label has."""
    made = d.QueryVariable(name).label(label).description(description).datasource(SOURCE)
    made.query({"query": source, "refId": name}).refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.sort(dm.VariableSort.ALPHABETICAL_ASC).multi(several).include_all(several)
    if several:
        made.all_value(".*").current(dm.VariableOption(text=["All"], value=["$__all"], selected=True))
    return made


def annotation(name: str, colour: str, expr: str) -> d.AnnotationQuery:
    return d.AnnotationQuery().name(name).datasource(SOURCE).enable(True).hide(False).icon_color(colour).expr(expr)


# `$__interval_ms` is the step of the query: each start is seen at one step, however far one has zoomed out.
STARTS = 'time() - process_start_time_seconds{job="$job"} < $__interval_ms / 1000'
# Versions that were not there five minutes before.
VERSIONS = (
    'count by (version) (intent_bus_build_info{job="$job"})'
    ' unless count by (version) (intent_bus_build_info{job="$job"} offset 5m)'
)
FIRING = 'ALERTS{job="$job", alertname=~"IntentBus.+", alertstate="firing", severity="critical"}'


def board(uid: str, title: str, description: str, variables: list, panels: list) -> dm.Dashboard:
    """A dashboard. Each row of the list of panels is a title and its panels."""
    made = d.Dashboard(title).uid(uid).description(description).tags(["intent-bus"]).timezone("browser").readonly()
    made.tooltip(dm.DashboardCursorSync.CROSSHAIR).time("now-1h", "now").refresh("30s")
    job = variable(
        "job", "Bus", "label_values(intent_bus_build_info, job)", "The job of Prometheus that scrapes it.", False
    )
    for each in [source_variable(), job, *variables]:
        made.with_variable(each)
    made.annotation(annotation("Replica started", BLUE, STARTS))
    made.annotation(annotation("Version appeared", PURPLE, VERSIONS))
    made.annotation(annotation("Critical alert", RED, FIRING))
    made.link(
        d.DashboardLink("Intent Bus")
        .type(dm.DashboardLinkType.DASHBOARDS)
        .tags(["intent-bus"])
        .include_vars(True)
        .keep_time(True)
        .as_dropdown(False)
    )
    for name, page in [("Runbook", "runbook.md"), ("Metrics", "metrics.md")]:
        link = d.DashboardLink(name).type(dm.DashboardLinkType.LINK).url(f"{DOCUMENTS}/{page}")
        made.link(link.icon("doc").target_blank(True))
    place = 0
    for heading, content in panels:
        place += 1
        made.with_row(d.Row(heading).id(place))
        for panel in content:
            place += 1
            made.with_panel(panel.id(place))
    return made.build()
