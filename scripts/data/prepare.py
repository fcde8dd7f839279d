"""Filters training rows, renders them as chat turns and writes their tokens, of which the answer's bear the loss."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from scripts.common.chat_format import ChatFormat
from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest, write_json, write_jsonl
from scripts.common.icarus import WorkerSettings
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.data import report
from scripts.data.codev import Sample
from scripts.data.filters import Dropped, DroppedRows, Filter, FilterName, Render, Selection, select
from scripts.data.read_samples import BadRow, NoPair, read_samples
from scripts.data.render import Renderer
from scripts.data.segments import SEGMENT_ROWS, compare_segments
from scripts.data.token_file import write_tokens

PACKAGES = ("transformers", "tokenizers", "pyarrow")


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the training tokens; see `data` and `chat` in config.yaml. `near_duplicate_jaccard`,
    `overlap_rouge_l` and `compiler` are None where no filter asks for them."""

    max_rows: int | None
    max_row_bytes: int
    on_bad_row: Literal["fail", "drop"]
    filters: tuple[FilterName, ...]
    near_duplicate_jaccard: float | None
    overlap_rouge_l: float | None
    compiler: WorkerSettings | None
    max_seq_len_tokens: int
    chat: ChatFormat

    def __post_init__(self) -> None:
        for name, value in (
            ("near_duplicate", self.near_duplicate_jaccard),
            ("overlaps_evaluation", self.overlap_rouge_l),
            ("does_not_compile", self.compiler),
        ):
            if (name in self.filters) != (value is not None):
                raise ValueError(f"the filter {name} and its setting go together")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of PrepareSettings")
    parser.add_argument("--source", type=Path, required=True, help="manifest of the fetched rows")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model (for its tokenizer)")
    parser.add_argument("--problems", type=Path, help="folder of evaluation problems, for overlaps_evaluation")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for the compiler's verdicts, kept between tries"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes to work with (default 1)")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet to write: id, input_ids, answer_start")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines to write: id, prompt, answer")
    parser.add_argument("--report", type=Path, required=True, help="JSON to write: counts kept and dropped, lengths")
    return parser.parse_args(argv)


def sample_filters(settings: PrepareSettings, args: argparse.Namespace) -> list[tuple[FilterName, Filter | None]]:
    """The filters of samples in the configured order, without those that reading applies; too_long is None."""
    # Each filter's libraries are loaded only where it is in use: they take a second.
    jobs = args.jobs
    known: dict[FilterName, Filter | None] = {"too_long": None}
    if "exact_duplicate" in settings.filters or "near_duplicate" in settings.filters:
        from scripts.data import duplicates

        known["exact_duplicate"] = duplicates.exact_duplicates
        if (jaccard := settings.near_duplicate_jaccard) is not None:
            known["near_duplicate"] = lambda samples: duplicates.near_duplicates(samples, jaccard)
    if (rouge_l := settings.overlap_rouge_l) is not None:
        from scripts.common.problems import read_problems
        from scripts.data import overlap

        problems = read_problems(args.problems)
        known["overlaps_evaluation"] = lambda samples: overlap.overlaps(samples, problems, rouge_l, jobs)
    if (compiler := settings.compiler) is not None:
        from scripts.data import compiles

        known["does_not_compile"] = lambda samples: compiles.compile_failures(samples, compiler, args.state, jobs)
    return [(name, known[name]) for name in settings.filters if name in known]


def refuse_bad_rows(source: str, bad: Sequence[BadRow]) -> None:
    """Raises UserError that names the first bad row of `source` and counts the others."""
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        line = bad[0].id.removeprefix("row")
        raise UserError(
            f"{source}:{line}: {bad[0].problem}{more}; mend the file, or drop such rows with data.on_bad_row: drop"
        )


def sort_out(outcomes: Iterable[Sample | NoPair | BadRow]) -> tuple[list[Sample], DroppedRows, list[BadRow]]:
    """The samples, the rows without a pair by reason, and the rows that are none, each in order."""
    samples: list[Sample] = []
    dropped: DroppedRows = {"no_answer": [], "no_module": []}
    bad: list[BadRow] = []
    for outcome in outcomes:
        if isinstance(outcome, Sample):
            samples.append(outcome)
        elif isinstance(outcome, NoPair):
            dropped[outcome.reason].append(Dropped(outcome.id, outcome.detail))
        else:
            bad.append(outcome)
    return samples, dropped, bad


def read_and_select(
    settings: PrepareSettings, args: argparse.Namespace, source: dict[str, Any], tokenizer: Any
) -> tuple[int, Selection, list[BadRow]]:
    """Rows read, what is left of them, and the rows that are none."""
    filters = sample_filters(settings, args)
    renderer = Renderer(tokenizer, settings.chat)
    file = args.source.parent / source["rows_file"]
    outcomes = read_samples(file, settings.max_rows, settings.max_row_bytes, args.jobs)
    samples, dropped, bad = sort_out(tqdm(outcomes, desc="read", unit="row", mininterval=1))
    rows_read = len(samples) + sum(map(len, dropped.values())) + len(bad)
    if settings.on_bad_row == "fail":
        refuse_bad_rows(source["source"], bad)
    selection = select(samples, dropped, filters, Render(renderer, settings.max_seq_len_tokens, args.jobs))
    if settings.on_bad_row == "fail":
        refuse_bad_rows(source["source"], selection.unspellable)
    return rows_read, selection, [*bad, *selection.unspellable]


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(PrepareSettings, args.settings)
    source = read_manifest(args.source)
    read_manifest(args.base_model)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.base_model.parent)
    rows_read, selection, bad = read_and_select(settings, args, source, tokenizer)
    if not selection.samples:
        dropped = report.filter_counts_by_name(selection.dropped)
        raise UserError(f"{source['source']}: none of {rows_read} rows is left (bad rows {len(bad)}, {dropped})")
    with ThreadPoolExecutor(max_workers=1) as beside:  # Parquet is written without holding Python's lock
        tokens_written = beside.submit(write_tokens, args.tokens, [s.id for s in selection.samples], selection.tokens)
        apart = compare_segments(tokenizer, selection.samples[:SEGMENT_ROWS])
        write_jsonl(args.rows, map(vars, selection.samples))
        tokens_written.result()
    kept = selection.tokens.lengths
    write_json(
        args.report,
        {
            "source": {key: value for key, value in source.items() if key != "files"}
            | source["files"][source["rows_file"]],
            "chat": asdict(settings.chat),
            **report.counts(rows_read, selection, bad),
            **report.lengths(selection.lengths, kept, settings.max_seq_len_tokens),
            "tokens": int(kept.sum()),
            "answer_tokens": int((kept - selection.tokens.answer_starts).sum()),
            "segments_tokenised_apart": asdict(apart),
            "provenance": provenance("scripts.data.prepare", asdict(settings), PACKAGES),
        },
    )


if __name__ == "__main__":
    main()
