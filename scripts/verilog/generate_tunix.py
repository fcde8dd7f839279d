"""Samples answers to every problem offline, with Tunix's own sampler on a JAX mesh, from the model that is served.

Same weights, prompts and sampling as `generate`, another engine: what differs between the two scores is the engine's.
Finished batches are kept in a side folder: a job that was killed makes only the missing ones when it runs again.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.common.chat_format import ChatFormat
from scripts.common.devices import HardwareKind
from scripts.common.errors import entry_point
from scripts.common.files import file_lock, read_manifest, write_json, write_jsonl
from scripts.common.jax_platform import MeshShape, choose_platform
from scripts.common.problems import read_problems
from scripts.common.provenance import provenance
from scripts.common.settings import parse_settings
from scripts.verilog.prompts import PromptStyle
from scripts.verilog.sampling import (
    Request,
    SampleStore,
    Sampling,
    batches,
    samples_fingerprint,
    summary_of,
    wanted,
)


@dataclasses.dataclass(frozen=True)
class TunixEngine:
    """Where and how Tunix samples: `batch_size` answers at a time, weights and cache in `dtype`."""

    hardware: str
    hardware_kind: HardwareKind
    mesh: MeshShape
    dtype: str
    batch_size: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError("batch_size must be positive")


@dataclasses.dataclass(frozen=True)
class GenerateTunixSettings:
    """How many answers a problem, how they are sampled and by what engine."""

    samples_per_problem: int
    chat: ChatFormat
    prompt: PromptStyle
    sampling: Sampling
    engine: TunixEngine

    def __post_init__(self) -> None:
        if self.samples_per_problem < 1:
            raise ValueError("samples_per_problem must be positive")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of GenerateTunixSettings")
    parser.add_argument("--model", type=Path, required=True, help="manifest.json of the model's folder")
    parser.add_argument("--problems", type=Path, required=True, help="folder in VerilogEval's layout")
    parser.add_argument("--state", type=Path, required=True, help="folder of side folders with finished samples")
    parser.add_argument("--output", type=Path, required=True, help="samples, one a row")
    parser.add_argument("--record", type=Path, required=True, help="output: sampling, engine, counts, provenance")
    return parser.parse_args(argv)


def generate_missing(
    settings: GenerateTunixSettings, model: Path, requests: Sequence[Request], store: SampleStore
) -> None:
    """Adds to `store` the samples that it lacks, a whole batch at a time; without any, no model is loaded."""
    missing = {(request.problem, request.sample) for request in store.missing(requests)}
    if not missing:
        return
    from scripts.verilog.tunix_sampler import BatchSampler

    sampler = BatchSampler(model.parent, settings.engine.mesh, settings.engine.dtype, settings.chat, settings.sampling)
    sampler.prepare([request.prompt for request in requests], settings.engine.batch_size)
    with tqdm(
        total=len(requests), initial=len(requests) - len(missing), desc="generate", unit="sample", mininterval=1
    ) as progress:
        for batch in batches(requests, settings.engine.batch_size):
            left = [request for request in batch if (request.problem, request.sample) in missing]
            if not left:
                continue
            for request, row in zip(batch, sampler.sample(batch), strict=True):
                if request in left:  # the others are there from before, and the same
                    store.append(row)
            progress.update(len(left))


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(GenerateTunixSettings, args.settings)
    engine = settings.engine
    choose_platform(engine.hardware_kind, engine.hardware, engine.mesh, "generation with Tunix")
    requests = wanted(
        read_problems(args.problems), settings.prompt, settings.samples_per_problem, settings.sampling.seed
    )
    identity = {"name": "tunix", **dataclasses.asdict(engine)}
    key = samples_fingerprint(read_manifest(args.model), settings.chat, settings.sampling, identity, requests)
    folder = args.state / key
    with file_lock(folder / "lock"):
        store = SampleStore(folder / "samples.jsonl")
        generate_missing(settings, args.model, requests, store)
        rows = [store.rows[request.problem, request.sample] for request in requests]
    write_jsonl(args.output, rows)
    block = provenance("scripts.verilog.generate_tunix", dataclasses.asdict(settings), ("jax", "google-tunix"))
    write_json(args.record, {**summary_of(rows), "provenance": block})


if __name__ == "__main__":
    main()
