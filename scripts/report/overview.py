"""The text of summary.md, all of it from the results, the resolved configuration and the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.common.spread import Spread
from scripts.report.arm_table import Settings
from scripts.report.comparability import caveats
from scripts.report.notes import machine_of
from scripts.report.results import Arm, Results
from scripts.report.table import Cell, format_cell

FIGURE_TITLES = {
    "lengths": "Lengths of the training rows",
    "loss": "Training loss",
    "throughput": "Output throughput against the request rate",
    "ttft": "Time to first token against the request rate",
    "pass_at_1_by_problem": "pass@1 by problem",
    "total_cost": "Total cost against serving hours and output tokens",
    "tornado": "What the total cost depends on",
}


def summary_text(
    config: dict[str, Any],
    settings: Settings,
    results: Results,
    costs: dict[str, Any],
    tables: Sequence[str],
    figures: Sequence[str],
    files: Sequence[tuple[str, dict[str, Any]]],
) -> str:
    """The whole document.

    `tables` are the tables' Markdown, `figures` paths relative to the summary, `files` (path, provenance block) pairs.
    """
    labels = ", ".join(arm.label for arm in settings.arms)
    parts = [
        f"# {config['run']}: {labels} compared",
        _what_ran(config, settings, results, [entry for _, entry in files]),
        "## In short\n\n" + "\n".join(f"- {_in_short(arm, results, costs)}" for arm in settings.arms),
        "## Tables",
        *tables,
        "## Figures",
        *(f"![{figure_title(path)}]({path})" for path in figures),
        "## What is not comparable",
        "\n".join(f"- {line}" for line in caveats(results, settings.arms, settings.hardware))
        or "Nothing was found that differs between arms besides what is compared.",
        "## Where the numbers come from",
        _reproduction(config, [entry for _, entry in files]),
        _provenance_table(files),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def figure_title(path: str) -> str:
    return FIGURE_TITLES.get(Path(path).stem, Path(path).stem)


def _what_ran(
    config: dict[str, Any], settings: Settings, results: Results, provenances: Sequence[dict[str, Any]]
) -> str:
    sources = [entry for runs in results.runs.values() for entry in runs] + list(results.benches.values())
    rows = [
        ("Run", config["run"]),
        ("Base model", _pinned(config["model"])),
        ("Training data", _pinned(config["data"])),
        ("Problems", config["verilog"]["problems"]),
        ("Prompt", f"{config['verilog']['prompt']}, {config['verilog']['prompt_examples']} examples"),
        ("Training seeds", ", ".join(map(str, config["seeds"]))),
        ("Baseline of ratios", settings.baseline_arm),
        ("Machine", "; ".join(dict.fromkeys(machine_of(source) for source in sources))),
        ("Commit", ", ".join(_commits(provenances))),
    ]
    arms = [
        (
            arm.name,
            arm.label,
            f"{arm.train_backend} on {settings.hardware[arm.train_hardware].label}" if arm.train_hardware else "none",
            f"vLLM ({arm.serve_backend}) on {settings.hardware[arm.serve_hardware].label}, "
            f"tensor parallelism {arm.tensor_parallel_size}",
        )
        for arm in settings.arms
    ]
    return _grid(rows, ("", "")) + "\n\n" + _grid(arms, ("arm", "label", "training", "serving"))


def _in_short(arm: Arm, results: Results, costs: dict[str, Any]) -> str:
    """One sentence on what an arm reached, over its seeds."""
    scores = results.scores[arm.name]
    solved = _shown(results.of_scores(arm.name, lambda score: score["problems_solved"]), "integer")
    pass_at_1 = _shown(results.of_scores(arm.name, lambda score: score["pass_at_k"].get("1")), "fraction")
    text = (
        f"**{arm.label}** solves {solved} of {scores[0]['problems']} problems with any of "
        f"{scores[0]['samples_per_problem']} samples; pass@1 is {pass_at_1}"
    )
    training = costs["arms"][arm.name]["training"]
    if training:
        minutes = results.of_runs(arm.name, lambda run: run["wall_clock_sec"] / 60)
        text += f"; trained in {_shown(minutes, 'significant')} min for "
        text += f"{_shown(Spread(**training['cost_usd']), 'usd')} USD"
    peaks = [cell["output_tokens_per_sec"] for cell in results.benches[arm.name]["cells"]]
    best = max((peak for peak in peaks if peak is not None), default=None)
    return f"{text}; served at up to {_shown(best, 'significant')} output tokens/s."


def _reproduction(config: dict[str, Any], provenances: Sequence[dict[str, Any]]) -> str:
    commits = _commits(provenances)
    checkout = f"git checkout {commits[0].removesuffix('-dirty')} && " if len(commits) == 1 else ""
    dirty = any(commit.endswith("-dirty") for commit in commits)
    return (
        "Each file carries the settings, the hash of the code, the commit and the machine that made it. The resolved "
        "configuration is `config.json` beside this file; to run it again:\n\n"
        f"    {checkout}snakemake all --configfile results/{config['run']}/config.json\n"
        + ("\nThe checkout had changes that are not in its commit (`-dirty`).\n" if dirty else "")
    )


def _provenance_table(files: Sequence[tuple[str, dict[str, Any]]]) -> str:
    rows = [
        (
            path,
            entry.get("module"),
            entry.get("code_sha256"),
            entry.get("settings_sha256"),
            (entry.get("commit") or "unknown")[:12],
        )
        for path, entry in files
    ]
    return _grid(rows, ("file", "made by", "code", "settings", "commit"))


def _commits(provenances: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({entry["commit"] for entry in provenances if entry.get("commit")})


def _pinned(source: dict[str, Any]) -> str:
    return f"{source['source']}" + (f" at {source['revision']}" if source.get("revision") else "")


def _shown(cell: Cell, form: str) -> str:
    return format_cell(cell, form)


def _grid(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    cells = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    return tabulate(cells, header, tablefmt="pipe", disable_numparse=True)
