"""What differs between arms besides what is compared, as found in the results themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from scripts.report.notes import machine_of
from scripts.report.results import Arm, Hardware, Results


def caveats(results: Results, arms: Sequence[Arm], hardware: dict[str, Hardware]) -> list[str]:
    """One sentence for each reason not to read a difference between arms as one between accelerators."""
    return [
        *_shared_hardware(arms, hardware),
        *_training_differences(results, arms),
        *_serving_differences(results, arms),
        *_provenance_differences(results),
    ]


def _shared_hardware(arms: Sequence[Arm], hardware: dict[str, Hardware]) -> Iterator[str]:
    """Arms of one hardware entry, whatever they are called, do not compare hardware."""
    for verb, used in (
        ("trained", {arm.name: arm.train_hardware for arm in arms}),
        ("served", {arm.name: arm.serve_hardware for arm in arms}),
    ):
        for entry in dict.fromkeys(name for name in used.values() if name):
            names = [name for name, found in used.items() if found == entry]
            if len(names) > 1:
                yield (
                    f"{', '.join(names)} were all {verb} on {hardware[entry].label} (kind {hardware[entry].kind}): "
                    "their differences are of software and chance, not of accelerators."
                )


def _training_differences(results: Results, arms: Sequence[Arm]) -> Iterator[str]:
    trained = [arm for arm in arms if results.runs[arm.name]]
    runs = {arm.name: results.runs[arm.name] for arm in trained}
    for key, words in (
        ("optimizer_steps", "optimizer steps"),
        ("samples", "training samples"),
        ("real_tokens", "real training tokens"),
        ("padded_tokens", "padded training tokens"),
        ("lora_parameters", "LoRA parameters"),
    ):
        yield from _differing(
            words, {name: [entry[key] for entry in entries] for name, entries in runs.items()}, lambda n: f"{n:,}"
        )
    if len({arm.train_backend for arm in trained}) > 1:
        yield (
            "The training loss has one definition in all backends (mean over a sample's answer tokens, then over "
            "samples); LoRA's random start is each backend's own."
        )
    single = [name for name, entries in runs.items() if len(entries) == 1]
    if single:
        yield f"One training seed only: {', '.join(single)}. Run-to-run variation is unknown."


def _serving_differences(results: Results, arms: Sequence[Arm]) -> Iterator[str]:
    benches = results.benches
    yield from _differing("vLLM version", {arm.name: [benches[arm.name]["server"]["vllm_version"]] for arm in arms})
    yield from _differing(
        "Icarus Verilog version",
        {arm.name: [score["icarus_version"] for score in results.scores[arm.name]] for arm in arms},
    )
    yield from _differing(
        "Engine that sampled the answers",
        {arm.name: [name for score in results.scores[arm.name] for name in score["engines"]] for arm in arms},
    )
    yield from _differing("Serving backend", {arm.name: [arm.serve_backend] for arm in arms})


def _provenance_differences(results: Results) -> Iterator[str]:
    """Result files of one kind that were made by other code, at another commit or on another machine."""
    for kind, by_arm in (
        ("training", results.runs),
        ("bench", {arm: [bench] for arm, bench in results.benches.items()}),
        ("scores", results.scores),
    ):
        known = {arm: [entry["provenance"] for entry in entries] for arm, entries in by_arm.items() if entries}
        yield from _differing(
            f"Commit of the {kind} results",
            {arm: [str(entry["commit"])[:12] for entry in entries] for arm, entries in known.items()},
        )
        yield from _differing(
            f"Machine of the {kind} results",
            {arm: [machine_of(entry) for entry in entries] for arm, entries in by_arm.items() if entries},
        )


def _differing(
    words: str, values: dict[str, list[Any]], shown: Callable[[Any], str] = lambda value: str(value or "unknown")
) -> Iterator[str]:
    """A sentence with each arm's values, where they are not all the same."""
    if len({value for found in values.values() for value in found}) > 1:
        yield (
            f"{words[0].upper()}{words[1:]}: "
            + "; ".join(f"{name} {_listed(shown(value) for value in found)}" for name, found in values.items())
            + "."
        )


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
