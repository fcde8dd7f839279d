"""The tables of costs: tokens and solved problems, total cost of ownership, break-even and sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.common.spread import Spread
from scripts.report.arm_table import Settings, arm_table
from scripts.report.notes import price_notes, scale_notes, seed_notes
from scripts.report.results import Results, context_label, contexts_of, rate_label, rates_of
from scripts.report.table import Cell, Row, Table, format_number

Costs = dict[str, Any]
PARAMETERS = {
    "price_factor": "All prices",
    "utilisation": "Utilisation of the server",
    "spot_interruptions_per_hour": "Spot machines",
}


def cost_tables(results: Results, costs: Costs, settings: Settings) -> list[Table]:
    """Every table of costs, in the order of the summary."""
    return [
        cost_per_million_tokens_table(results, costs, settings),
        tco_table(results, costs, settings),
        break_even_table(results, costs, settings),
        sensitivity_table(results, costs, settings),
    ]


def cost_per_million_tokens_table(results: Results, costs: Costs, settings: Settings) -> Table:
    """USD per million tokens trained; per million output tokens and per solved problem at each context."""
    rows = [
        Row(f"Trained, {kind} tokens", "USD/M tokens", cells, "lower", "usd", "Training")
        for kind in ("real", "padded")
        for cells in [training_cost(costs, f"usd_per_million_{kind}_tokens", settings)]
    ]
    for context in contexts_of(results.benches):
        section = f"Output, {context_label(context)}"
        servings = [_serving(costs, arm.name, context) for arm in settings.arms]
        for name in ("sustained", "peak"):
            cells = tuple(_of_cell(serving and serving[name]) for serving in servings)
            rows.append(Row(f"At {name} throughput", "USD/M tokens", cells, "lower", "usd", section))
        for name in ("sustained", "peak"):
            problems = tuple(_spread(serving and serving["usd_per_solved_problem"][name]) for serving in servings)
            rows.append(Row(f"A solved problem, {name}", "USD/problem", problems, "lower", "usd", section))
        for rate in rates_of(results.benches):
            cells = tuple(_usd_at(serving, rate) for serving in servings)
            rows.append(Row(rate_label(rate).capitalize(), "USD/M tokens", cells, "lower", "usd", section))
    notes = [
        _sustained_note(costs),
        "A solved problem: the output tokens of all answers of the evaluation, at the price of a token here, over the "
        "problems that any of them solves.",
    ]
    return _table("cost_per_million_tokens", "Cost per million tokens", rows, results, costs, settings, notes)


def tco_table(results: Results, costs: Costs, settings: Settings) -> Table:
    """Cost of one training run, then of serving for each of the configured times and volumes of tokens."""
    entries = [costs["arms"][arm.name] for arm in settings.arms]
    rows = [
        Row("Training", "USD", training_cost(costs, "cost_usd", settings), "lower", "usd"),
        Row("Serving, one hour", "USD", tuple(entry["serving"]["usd_per_hour"] for entry in entries), "lower", "usd"),
    ]
    for position, total in enumerate(entries[0]["tco"]["by_hours"]):
        cells = tuple(_spread(entry["tco"]["by_hours"][position]["usd"]) for entry in entries)
        rows.append(Row(f"Training and {total['serving_hours']:g} h of serving", "USD", cells, "lower", "usd"))
    for context in contexts_of(results.benches):
        section = f"Training and a volume of output tokens, {context_label(context)}"
        for volume in _settings(costs)["output_tokens_millions"]:
            found = [_volume(entry["tco"]["by_tokens"], context, volume) for entry in entries]
            usd = tuple(_spread(entry["usd"]) if entry else None for entry in found)
            hours = tuple(entry["serving_hours"] if entry else None for entry in found)
            rows.append(Row(f"{volume:g} M tokens", "USD", usd, "lower", "usd", section))
            rows.append(Row(f"{volume:g} M tokens, paid serving", "h", hours, "lower", section=section))
    notes = [
        "Hours of serving are paid for busy or idle. A volume of tokens is written at the sustained throughput in "
        f"{_settings(costs)['utilisation']:.0%} of the paid hours, and its totals are derived from measurements.",
        _sustained_note(costs),
    ]
    return _table("tco", "Total cost of ownership", rows, results, costs, settings, notes)


def break_even_table(results: Results, costs: Costs, settings: Settings) -> Table:
    """For each pair of arms, a row and a column, where their totals meet and which is cheaper on either side."""
    labels = {arm.name: arm.label for arm in settings.arms}
    points = {
        (frozenset(entry["arms"]), entry["input_tokens"] and (entry["input_tokens"], entry["output_tokens"])): entry
        for entry in costs["break_even"]
    }
    rows = []
    for context in (None, *contexts_of(results.benches)):
        section = f"Output tokens served, {context_label(context)}" if context else "Hours served"
        for position, arm in enumerate(settings.arms[:-1]):
            cells = tuple(
                _meeting(points.get((frozenset((arm.name, other.name)), context)), labels)
                if column > position
                else None
                for column, other in enumerate(settings.arms)
            )
            rows.append(Row(f"{arm.label} and ...", "", cells, section=section))
    notes = [
        "Where the totals of two arms, one training run each (mean over its seeds) and then serving, are equal; and "
        "which arm is cheaper. Derived from measured times and throughput; what answers are worth is not in it.",
        _sustained_note(costs),
    ]
    return _table("break_even", "Break-even", rows, results, costs, settings, notes)


def sensitivity_table(results: Results, costs: Costs, settings: Settings) -> Table:
    """Each arm's total for one volume of tokens as configured, and with one assumption changed at a time."""
    entries = [costs["sensitivity"]["arms"][arm.name] for arm in settings.arms]
    rows = [Row("As configured", "USD", tuple(entry and entry["usd"] for entry in entries), "lower", "usd")]
    for position, end in ((position, end) for position in range(len(PARAMETERS)) for end in (0, 1)):
        bars = [entry["bars"][position] if entry else None for entry in entries]
        bar = next((bar for bar in bars if bar), None)
        if bar is not None:
            label = f"{PARAMETERS[bar['parameter']]}, {case_label(bar['parameter'], bar['values'][end])}"
            rows.append(Row(label, "USD", tuple(bar and bar["usd"][end] for bar in bars), "lower", "usd"))
    notes = [
        f"Total of one training run and {sensitivity_label(costs)}; one assumption is changed at a time. Derived from "
        "measured times and throughput.",
        _sustained_note(costs),
        *spot_notes(costs, settings),
    ]
    return _table("sensitivity", "Sensitivity of the total cost", rows, results, costs, settings, notes)


def case_label(parameter: str, value: float) -> str:
    """One end of a range in words."""
    if parameter == "price_factor":
        return f"{value:g} ×"
    return f"{value:.0%}" if parameter == "utilisation" else f"{value:g} interruptions/h"


def sensitivity_label(costs: Costs) -> str:
    """The volume of tokens that the sensitivity is worked out for."""
    case = costs["sensitivity"]
    context = context_label((case["input_tokens"], case["output_tokens"]))
    return f"{case['output_tokens_millions']:g} M output tokens, {context}"


def spot_notes(costs: Costs, settings: Settings) -> list[str]:
    """The spot prices that the sensitivity uses, and how interruptions are counted."""
    notes = [
        f"Spot price of {settings.hardware[name].label}: "
        + (
            f"{price['usd_per_hour']} USD/h; region: {price['region'] or 'not stated'}; date: "
            f"{price['date'] or 'not stated'}; source: {price['source']}."
            if price
            else "not known."
        )
        for name, price in costs["spot_prices"].items()
    ]
    return [
        *notes,
        "Interruptions are predicted (Daly 2006): each loses the work since the last checkpoint and repeats the start, "
        "and keeps a server from answering for as long as it starts.",
    ]


def training_cost(costs: Costs, key: str, settings: Settings) -> tuple[Cell, ...]:
    """A quantity of each arm's training in costs.json; None for untuned arms."""
    trainings = [costs["arms"][arm.name]["training"] for arm in settings.arms]
    return tuple(_spread(training[key]) if training else None for training in trainings)


def _table(
    name: str,
    title: str,
    rows: Sequence[Row],
    results: Results,
    costs: Costs,
    settings: Settings,
    notes: Sequence[str],
) -> Table:
    untuned = [arm.name for arm in settings.arms if arm.train_hardware is None]
    common = [*seed_notes(rows), *paid_notes(costs, settings)]
    if untuned:
        common.append(f"Untuned, so nothing is paid for training: {', '.join(untuned)}.")
    common += price_notes(settings.arms, settings.hardware)
    common += scale_notes("Trained and served", results, settings.arms, settings.hardware)
    return arm_table(name, title, rows, settings, [*notes, *common])


def paid_notes(costs: Costs, settings: Settings) -> list[str]:
    """That spot machines were paid for, with which interruptions: costs are then predicted from the measured times."""
    if not any(entry.price.kind == "spot" for entry in settings.hardware.values()):
        return []
    rate = _settings(costs)["interruptions_per_hour"]
    return [
        f"Paid at the spot price with {rate:g} interruptions an hour (cost.interruptions_per_hour)"
        + ("; costs are predicted from the measured times (Daly 2006)." if rate else ", so that none is counted.")
    ]


def _sustained_note(costs: Costs) -> str:
    share = _settings(costs)["sustained_share"]
    return (
        "Sustained: the highest throughput of the request rates that the server kept up with, answering all requests "
        f"in 1 / {share:g} of the least possible time; a dash where it kept up with none. Peak: the highest of all "
        "rates, a burst included."
    )


def _settings(costs: Costs) -> dict[str, Any]:
    settings: dict[str, Any] = costs["provenance"]["settings"]
    return settings


def _meeting(point: dict[str, Any] | None, labels: dict[str, str]) -> Cell:
    """Where two arms break even, in words; None where it is unknown."""
    if point is None:
        return None
    before, after = (labels.get(point[key]) for key in ("cheaper_before", "cheaper_after"))
    at, unit = point["serving_hours"], "h"
    if at is None:
        at, unit = point["output_tokens_millions"], "M tokens"
    if at is None:
        return f"never: {before} is cheaper" if before else "always equal"
    return f"{format_number(at, 'significant')} {unit}: below {before} is cheaper, above {after}"


def _serving(costs: Costs, arm: str, context: tuple[int, int]) -> dict[str, Any] | None:
    contexts = costs["arms"][arm]["serving"]["contexts"]
    return next((entry for entry in contexts if (entry["input_tokens"], entry["output_tokens"]) == context), None)


def _volume(entries: Sequence[dict[str, Any]], context: tuple[int, int], volume: float) -> dict[str, Any] | None:
    keys = ("input_tokens", "output_tokens", "output_tokens_millions")
    return next((entry for entry in entries if tuple(entry[key] for key in keys) == (*context, volume)), None)


def _usd_at(serving: dict[str, Any] | None, rate: float | str) -> float | None:
    cells = serving["by_rate"] if serving else []
    return next((_of_cell(cell) for cell in cells if cell["request_rate_per_sec"] == rate), None)


def _of_cell(cell: dict[str, Any] | None) -> float | None:
    return cell["usd_per_million_output_tokens"] if cell else None


def _spread(entry: dict[str, Any] | None) -> Spread | None:
    return Spread(**entry) if entry else None
