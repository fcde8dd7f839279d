"""Writes the data card: where the rows come from, what was dropped, how long they are, how they are batched."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_text

MEANINGS = {
    "no_answer": "the response has no answer",
    "no_module": "the answer has no Verilog module",
    "exact_duplicate": "prompt and answer are those of an earlier row, but for white space",
    "near_duplicate": "most word 5-grams are those of an earlier row",
    "does_not_compile": "Icarus Verilog does not compile the answer",
    "overlaps_evaluation": "a 13-gram or a high ROUGE-L in common with a problem of the evaluation",
    "too_long": "longer than max_seq_len_tokens; nothing is truncated",
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, help="report.json of the data stage")
    parser.add_argument("--batching", type=Path, required=True, help="batching.json of the data stage")
    parser.add_argument("--output", type=Path, required=True, help="Markdown to write")
    return parser.parse_args(argv)


def card(report: dict[str, Any], batching: dict[str, Any]) -> str:
    """The card as Markdown."""
    return "\n\n".join(
        [
            "# Data card",
            "## Source",
            _table(_source(report)),
            "## Rows",
            _table(_rows(report), headers=["", "rows", "for example"]),
            "## Chat",
            _table(_chat(report)),
            "## Length in tokens",
            _table(_lengths(report), headers=["", *report["length_tokens"]["kept"]]),
            _table(_kept_shares(report), headers=["max_seq_len_tokens", "rows not longer"]),
            "## Batches",
            f"One epoch is {batching['steps_per_epoch']:,} optimizer steps of {batching['samples_per_step']} samples, "
            f"the same in every mode; training uses `{batching['mode']}`.{_held_out(batching['held_out_rows'])}",
            _table(_batches(batching), headers=["mode", "rows", "real tokens", "micro-batches a step", "shapes"]),
            f"Made by `{report['provenance']['module']}` at commit {report['provenance']['commit']}.",
        ]
    )


def _table(rows: list[list[str]], headers: Sequence[str] = ("", "")) -> str:
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _source(report: dict[str, Any]) -> list[list[str]]:
    source = report["source"]
    fields = ("source", "revision", "commit", "licence", "rows_file", "sha256")
    known = [[name, _inline(source[name])] for name in fields]
    return [*known, ["size", f"{source['size_bytes']:,} bytes"]]


def _rows(report: dict[str, Any]) -> list[list[str]]:
    examples = report["dropped_examples"]
    dropped = [
        [f"dropped: {MEANINGS[name]}", f"{count:,}", _example(examples.get(name, []))]
        for name, count in report["rows_dropped"].items()
    ]
    bad = ["dropped: cannot be read", f"{report['bad_rows']:,}", _example(report["bad_row_examples"])]
    return [
        ["read", f"{report['rows_read']:,}", ""],
        *dropped,
        bad,
        ["**kept**", f"{report['rows_kept']:,}", ""],
    ]


def _example(examples: list[dict[str, str]]) -> str:
    return f"{examples[0]['row']}: {_inline(examples[0]['why'])}" if examples else ""


def _chat(report: dict[str, Any]) -> list[list[str]]:
    apart = report["segments_tokenised_apart"]
    return [
        ["template", report["chat"]["template"]],
        ["system prompt", _inline(report["chat"]["system_prompt"])],
        ["tokens kept", f"{report['tokens']:,}"],
        ["of them in answers, which bear the loss", f"{report['answer_tokens']:,}"],
        [
            "turns tokenised apart, as in the paper",
            f"{apart['rows_with_other_tokens']:,} of {apart['rows']:,} rows would have other tokens, "
            f"{apart['rows_with_other_mask']:,} another mask",
        ],
    ]


def _lengths(report: dict[str, Any]) -> list[list[str]]:
    return [
        [label, *(f"{value:,.0f}" for value in report["length_tokens"][key].values())]
        for label, key in (("all", "rendered"), ("kept", "kept"))
    ]


def _kept_shares(report: dict[str, Any]) -> list[list[str]]:
    return [
        [f"{entry['max_seq_len_tokens']:,}", f"{entry['kept_share']:.2%}"]
        for entry in report["kept_share_by_max_seq_len"]
    ]


def _batches(batching: dict[str, Any]) -> list[list[str]]:
    return [
        [
            plan["mode"],
            str(plan["rows_per_micro_batch"]),
            f"{plan['real_token_share']:.1%}",
            f"{plan['micro_batches_per_step']:.2f}",
            str(len(plan["shapes"])),
        ]
        for plan in batching["plans"]
    ]


def _held_out(rows: int) -> str:
    return f" {rows:,} of the kept rows are held out of it, to measure their loss." if rows else ""


def _inline(value: Any) -> str:
    """A value as code that cannot break a table."""
    if value is None:
        return "none"
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    write_text(args.output, card(read_json(args.report), read_json(args.batching)) + "\n")


if __name__ == "__main__":
    main()
