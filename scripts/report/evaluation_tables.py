"""The tables of the Verilog evaluation: scores, how certain differences are, the paper's own, every problem, and where
VerilogEval's own rules judge otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scripts.report.arm_table import Settings
from scripts.report.notes import ratio_notes, scale_notes, seed_notes
from scripts.report.results import Results
from scripts.report.table import Cell, Row, Table, format_number

Numbers = dict[str, Any]
PUBLISHED_COLUMNS = {
    "least_sampling_noise": "least sampling noise",
    "most_sampling_noise": "most sampling noise",
    "least_disagreement": "arms most alike by problem",
    "most_disagreement": "arms differ most by problem",
}
SAMPLING, PROBLEMS = ("sampling again", "same_problems"), ("over problems", "other_problems")
# VerilogEval's letters (scripts/verilog/letters.py) in its order, in words.
LETTERS = {
    ".": "pass",
    "S": "syntax error",
    "C": "other compile error",
    "e": "explicit cast missing",
    "0": "constant of size zero",
    "n": "no sensitivities",
    "w": "wire assigned in a block",
    "m": "unknown module",
    "p": "unknown name",
    "c": "unknown clk",
    "T": "timeout",
    "r": "failure at run time, reset suspected",
    "R": "other failure at run time",
}
SIZES = {"of_interest": "difference of interest", "observed": "observed difference"}


def evaluation_tables(results: Results, comparisons: Numbers, published: Numbers, settings: Settings) -> list[Table]:
    """Every table of the evaluation, in the order of the summary."""
    return [
        evaluation_table(results, comparisons, settings),
        statistics_table(results, comparisons, settings),
        published_table(published),
        problems_table(results, settings),
        disagreements_table(results, settings),
    ]


def evaluation_table(results: Results, comparisons: Numbers, settings: Settings) -> Table:
    """pass@k with its interval and ceiling, problems solved and what became of the samples, here and by VerilogEval."""
    scores = [score for entries in results.scores.values() for score in entries]

    def row(label: str, quantity: Callable[[Numbers], float | None], form: Any = "integer", **other: Any) -> Row:
        return Row(label, "", _over_seeds(results, quantity, settings), form=form, **other)

    rows = []
    for k in sorted({k for score in scores for k in score["pass_at_k"]}, key=int):
        intervals = tuple(_interval(comparisons["arms"][arm.name][k]) for arm in settings.arms)
        rows.append(row(f"pass@{k}", _at("pass_at_k", k), "fraction", better="higher"))
        rows.append(Row(f"pass@{k}, {comparisons['level']:.0%} interval", "", intervals))
    rows += [
        row("Ceiling of pass@k", _at("ceiling"), "fraction"),
        row("Problems solved by any sample", _at("problems_solved"), better="higher"),
        row("Problems", _at("problems")),
        row("Samples per problem", _at("samples_per_problem")),
        row("Samples passed", _at("samples_passed"), better="higher"),
        row("Samples cut off at their longest", _at("samples_cut_off")),
    ]
    rows += [
        row(
            _words(name),
            _share(("by_category", name)),
            "fraction",
            better="higher",
            section="pass@1 by kind of circuit",
        )
        for name in sorted({name for score in scores for name in score["by_category"]})
    ]
    rows += [
        row(_words(name), _count("verdict_counts", name), section="Verdicts [samples]")
        for name in dict.fromkeys(name for score in scores for name, count in score["verdict_counts"].items() if count)
    ]
    by_letter = "VerilogEval's own letters [samples]"
    rows += [
        row(f"{letter} {words}", _count("verilog_eval_counts", letter), section=by_letter)
        for letter, words in LETTERS.items()
        if any(letter in score["verilog_eval_counts"] for score in scores)
    ]
    rows.append(row("None: nothing was run", _without_letter, section=by_letter))
    simulators = sorted({score["icarus_version"] for score in scores})
    unsolvable = sorted({problem for score in scores for problem in score["unsolvable_problems"]})
    notes = [
        "pass@k is the unbiased estimator over the samples of a problem, averaged over problems; its interval is a "
        "bootstrap over problems. The ceiling is the share of problems whose own reference passes its bench.",
        f"Simulated by Icarus Verilog {' and '.join(simulators)}.",
        f"Answers were sampled by {_engines(results, settings)}.",
        _disagreement_note(results, settings),
        *seed_notes(rows),
    ]
    if unsolvable:
        notes.append(f"Counted, though their own reference fails on this simulator: {', '.join(unsolvable)}.")
    notes += scale_notes("Served", results, settings.arms, settings.hardware)
    return _table("evaluation", "Evaluation", rows, settings, notes)


def statistics_table(results: Results, comparisons: Numbers, settings: Settings) -> Table:
    """Each arm against the baseline: differences, p-values, effect sizes, power; the baseline's column is dashes."""
    pairs = {pair["arm"]: pair for pair in comparisons["comparisons"]}
    level = f"{comparisons['level']:.0%}"
    sections: dict[str, list[tuple[str, Callable[[Numbers], Cell], str]]] = {
        f"pass@{k}": [
            ("Difference", _at("pass_at_k", k, "difference"), "fraction"),
            (f"{level} interval over problems", _interval_at("pass_at_k", k), "exact"),
            ("p, over problems", _at("pass_at_k", k, "p_other_problems_holm"), "significant"),
            ("Effect size d_z", _at("pass_at_k", k, "cohen_dz"), "significant"),
        ]
        for k in (next(iter(pairs.values()))["pass_at_k"] if pairs else ())
    }
    sections["These problems"] = [
        ("p, sampling again", _at("samples", "p_same_problems_holm"), "significant"),
        ("Odds ratio of a pass", _at("samples", "odds_ratio", "estimate"), "significant"),
        (f"{level} interval", _interval_at("samples", "odds_ratio"), "exact"),
    ]
    sections["Difference in pass@1 that is found with 80 % power"] = [
        (_words(where), _at("power", f"detectable_{key}"), "fraction") for where, key in (SAMPLING, PROBLEMS)
    ]
    for size, words in SIZES.items():
        sections[f"What finds the {words} with 80 % power"] = [
            *(
                (f"Samples a problem, {where}", _at("power", size, f"samples_{key}"), "integer")
                for where, key in (SAMPLING, PROBLEMS)
            ),
            ("Problems, with as many samples as now", _at("power", size, "problems"), "integer"),
        ]
    sections["Problems that flip"] = [
        ("Solved, not by the baseline", lambda pair: len(pair["flips"]["solved_by_arm_only"]), "integer"),
        ("Solved by the baseline alone", lambda pair: len(pair["flips"]["solved_by_baseline_only"]), "integer"),
    ]
    rows = [
        Row(
            label,
            "",
            tuple(quantity(pairs[arm.name]) if arm.name in pairs else None for arm in settings.arms),
            form=form,  # type: ignore[arg-type]
            section=section,
        )
        for section, entries in sections.items()
        for label, quantity, form in entries
    ]
    return _table(
        "evaluation_statistics",
        "Evaluation: how certain",
        rows,
        settings,
        [
            *_statistics_notes(list(pairs.values()), settings),
            *scale_notes("Served", results, settings.arms, settings.hardware),
        ],
    )


def _statistics_notes(pairs: Sequence[Numbers], settings: Settings) -> list[str]:
    interest = sorted({pair["power"]["of_interest"]["difference"] for pair in pairs if pair["power"]})
    return [
        "Over problems: sign-flip permutation test and bootstrap, as if other problems of the kind were drawn. "
        "Sampling again: exact test on these problems, as if their answers were drawn again. p-values are corrected "
        f"by Holm's method for the {len(pairs)} arms compared with {settings.baseline_arm}. The models are taken as "
        "given: how another training run would differ is not in them.",
        f"Difference of interest in pass@1: {', '.join(map(str, interest)) or 'none'}. A dash under samples over "
        "problems: no number of samples finds it, the problems are too few; dashes under power: one sample a problem.",
        *(pair["sentence"] for pair in pairs),
    ]


def published_table(published: Numbers) -> Table:
    """The paper's totals under the extreme tables of counts that would print as they do."""
    figures, found = published["published"], published["extremes"]
    arm, baseline = (figures[name]["label"] for name in ("arm", "baseline"))
    quantities: list[tuple[str, Callable[[Numbers], Cell], str]] = [
        (f"pass@1, {arm}", _at("arm", "estimate"), "fraction"),
        ("its interval over problems", _interval_at("arm"), "exact"),
        (f"pass@1, {baseline}", _at("baseline", "estimate"), "fraction"),
        ("its interval over problems", _interval_at("baseline"), "exact"),
        ("Difference", _at("difference"), "fraction"),
        ("its interval over problems", _interval, "exact"),
        ("p, sampling again", _at("p_same_problems"), "significant"),
        ("p, over problems", _at("p_other_problems"), "significant"),
        ("Odds ratio of a pass", _at("odds_ratio", "estimate"), "significant"),
        ("Effect size d_z", _at("cohen_dz"), "significant"),
        ("Found with 80 % power, over problems", _at("power", "detectable_other_problems"), "fraction"),
    ]
    rows = [
        Row(label, "", tuple(quantity(found[name]) for name in PUBLISHED_COLUMNS), form=form)  # type: ignore[arg-type]
        for label, quantity, form in quantities
    ]
    samples, solved = figures["samples_per_problem"], published["pass_at_n"]
    notes = [
        f"Computed from the published totals, not measured: {published['arm']['samples_passed']} against "
        f"{published['baseline']['samples_passed']} of {figures['problems']} x {samples} samples pass; "
        f"{published['arm']['problems_solved']} against {published['baseline']['problems_solved']} problems are solved "
        "by any. The counts by problem were not published: each column is the extreme, in what it is named after, of "
        "all tables of counts that print as these figures.",
        f'The paper says ({figures["source"]}): "{figures["claim"]}" {published["conclusion"]}',
        f"pass@{samples}: p of the exact sign test on the problems that one arm alone solves is "
        f"{solved['p_least']:.2g} to {solved['p_most']:.2g}.",
        "One training run an arm: what another run of the same training would score is not known, so that neither way "
        "is the difference one between accelerators.",
    ]
    names, labels = tuple(PUBLISHED_COLUMNS), tuple(PUBLISHED_COLUMNS.values())
    return Table("published_evaluation", "The paper's evaluation", names, labels, names[0], tuple(rows), tuple(notes))


def problems_table(results: Results, settings: Settings) -> Table:
    """pass@1 of every problem, by the kind of its circuit."""
    kinds = {
        name: counts["category"]
        for entries in results.scores.values()
        for score in entries
        for name, counts in score["by_problem"].items()
    }
    rows = [
        Row(
            name,
            "",
            _over_seeds(results, _share(("by_problem", name)), settings),
            form="fraction",
            section=_words(kinds[name]),
        )
        for name in sorted(kinds, key=lambda name: (kinds[name], name))
    ]
    notes = ["Share of samples that pass.", *seed_notes(rows)]
    notes += scale_notes("Served", results, settings.arms, settings.hardware)
    return _table("problems", "Evaluation: every problem", rows, settings, notes)


def disagreements_table(results: Results, settings: Settings) -> Table:
    """Every sample that passes here and not by VerilogEval's own rules, or the other way round; dashes elsewhere."""
    found = {
        (entry["problem"], score["seed"], entry["sample"], arm.name): f"{entry['verdict']} / {entry['verilog_eval']}"
        for arm in settings.arms
        for score in results.scores[arm.name]
        for entry in score["disagreements"]
    }
    rows = [Row("Samples", "", tuple(_disagreements(results, settings).values()), form="integer")]
    rows += [
        Row(
            f"Seed {seed}, sample {sample}",
            "",
            tuple(found.get((problem, seed, sample, arm.name)) for arm in settings.arms),
            section=problem,
        )
        for problem, seed, sample in sorted({key[:3] for key in found})
    ]
    letters = ", ".join(f"{letter} {words}" for letter, words in LETTERS.items())
    notes = [
        _disagreement_note(results, settings),
        f"A cell is the verdict here / VerilogEval's letter: {letters}. Listed is what one of the two passes alone.",
        *scale_notes("Served", results, settings.arms, settings.hardware),
    ]
    return _table("disagreements", "Evaluation: where VerilogEval judges otherwise", rows, settings, notes)


def _disagreements(results: Results, settings: Settings) -> dict[str, int]:
    """How many samples of each arm one of the two judges passes alone, over all seeds."""
    return {arm.name: sum(len(score["disagreements"]) for score in results.scores[arm.name]) for arm in settings.arms}


def _disagreement_note(results: Results, settings: Settings) -> str:
    counts = _disagreements(results, settings)
    if not any(counts.values()):
        return "VerilogEval's own rules pass the same samples, wherever its recipe was run."
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"Samples that pass here and not by VerilogEval's own rules, or the other way round: {listed}."


def _without_letter(score: Numbers) -> int:
    """Samples for which VerilogEval's recipe had nothing to run: no module, or a problem that cannot be solved here."""
    samples: int = score["problems"] * score["samples_per_problem"]
    return samples - sum(score["verilog_eval_counts"].values())


def _engines(results: Results, settings: Settings) -> str:
    """What sampled the answers: once where it is the same for all arms."""
    engines = {
        arm.name: ", ".join(dict.fromkeys(name for score in results.scores[arm.name] for name in score["engines"]))
        for arm in settings.arms
    }
    if len(set(engines.values())) == 1:
        return next(iter(engines.values()))
    return "; ".join(f"{engine} ({name})" for name, engine in engines.items())


def _table(name: str, title: str, rows: Sequence[Row], settings: Settings, notes: Sequence[str]) -> Table:
    names, labels = (tuple(getattr(arm, key) for arm in settings.arms) for key in ("name", "label"))
    heads = ratio_notes(rows, settings.arms, settings.baseline_arm)
    return Table(name, title, names, labels, settings.baseline_arm, tuple(rows), (*heads, *notes))


def _over_seeds(results: Results, quantity: Callable[[Numbers], float | None], settings: Settings) -> tuple[Cell, ...]:
    return tuple(results.of_scores(arm.name, quantity) for arm in settings.arms)


def _at(*path: str) -> Callable[[Numbers], Any]:
    """Reads an entry of nested mappings; None where one of them is missing or null."""

    def read(entry: Numbers) -> Any:
        found: Any = entry
        for key in path:
            found = found.get(key) if found is not None else None
        return found

    return read


def _share(path: tuple[str, str]) -> Callable[[Numbers], float | None]:
    """Passed of all samples, of the counts at `path`."""

    def read(score: Numbers) -> float | None:
        counts = _at(*path)(score)
        return counts["passed"] / counts["samples"] if counts else None

    return read


def _count(key: str, name: str) -> Callable[[Numbers], float]:
    """A verdict that a score does not list has not occurred."""
    return lambda score: score[key].get(name, 0)


def _interval(entry: Numbers | None) -> str | None:
    return f"{format_number(entry['low'], 'fraction')} to {format_number(entry['high'], 'fraction')}" if entry else None


def _interval_at(*path: str) -> Callable[[Numbers], str | None]:
    return lambda entry: _interval(_at(*path)(entry))


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
