"""Compares what the served model says of each next token with the merged model in transformers: vLLM on the merged
weights, and vLLM on the base with the adapter (--lora-modules). Stops above the tolerance, and when the adapter changed
nothing: a server that ignores an adapter gives no error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_manifest, write_json
from scripts.common.model_server import model_server
from scripts.common.provenance import provenance
from scripts.common.server_settings import ServerSettings
from scripts.common.settings import parse_settings
from scripts.merge.probe import Difference, Dtype, Tolerance, compare_next_tokens, load_next_tokens, read_probe
from scripts.merge.served import ADAPTER_NAME, served_next_tokens, with_adapter


@dataclass(frozen=True)
class ServedCheckSettings:
    """See `merge_check` in config.yaml; `dtype` is the type of the reference to compare with."""

    arm: str
    seed: int
    server: ServerSettings
    dtype: Dtype
    prompts: int
    tolerance: Tolerance
    serve_adapter: bool
    lora_rank: int


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of ServedCheckSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--merged-model", type=Path, required=True, help="manifest of the merged model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the adapter in PEFT's format")
    parser.add_argument("--next-tokens", type=Path, required=True, help="npz of check_merge: the merged model's")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write: the differences")
    parser.add_argument("--server-log", type=Path, required=True, help="the servers' own output")
    return parser.parse_args(argv)


def judge(differences: dict[str, Difference], tolerance: Tolerance) -> str | None:
    """Why what is served is not the trained model, or None. Differences of served forms from the merged model in
    transformers must be small; `adapter_from_base`, between two served forms, must not."""
    for form, difference in differences.items():
        if form != "adapter_from_base" and (problem := tolerance.exceeded_by(difference)):
            return f"the served {form} model is not the merged model: of log-probabilities {problem}"
    change = differences.get("adapter_from_base")
    if change is not None and change.max_abs <= tolerance.max_abs:
        return f"the server ignores the adapter: its answers are the base's (largest difference {change.max_abs:.3g})"
    return None


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(ServedCheckSettings, args.settings)
    read_manifest(args.adapter)
    probe = read_probe(args.tokens, settings.prompts)
    wanted = load_next_tokens(args.next_tokens, settings.dtype)
    with model_server(settings.server, args.merged_model, args.server_log) as server:
        version = server.vllm_version
        answers = {"merged": served_next_tokens(server.base_url, server.model_name, probe)}
    if settings.serve_adapter:
        adapted = with_adapter(settings.server, args.adapter.parent, settings.lora_rank)
        with model_server(adapted, args.base_model, args.server_log.with_suffix(".adapter.log")) as server:
            answers["base"] = served_next_tokens(server.base_url, server.model_name, probe)
            answers["adapter"] = served_next_tokens(server.base_url, ADAPTER_NAME, probe)
    try:
        differences = {form: compare_next_tokens(said, wanted) for form, said in answers.items() if form != "base"}
        if settings.serve_adapter:
            differences["adapter_from_base"] = compare_next_tokens(answers["adapter"], answers["base"])
    except ValueError as error:
        raise UserError(f"arm {settings.arm}, seed {settings.seed}: served log-probabilities: {error}") from None
    if problem := judge(differences, settings.tolerance):
        raise UserError(f"arm {settings.arm}, seed {settings.seed}: {problem} (merge_check.tolerances)")
    write_json(
        args.output,
        {
            "arm": settings.arm,
            "seed": settings.seed,
            "rows": len(probe.rows),
            "positions_per_row": probe.positions - 1,
            "dtype": settings.dtype,
            "vllm_version": version,
            "tolerance": asdict(settings.tolerance),
            "differences": {form: asdict(difference) for form, difference in differences.items()},
            "provenance": provenance("scripts.merge.check_served", asdict(settings)),
        },
    )


if __name__ == "__main__":
    main()
