"""Samples answers to every problem from the served model, through the chat API of a server that lives in this job.

Finished samples are kept in a side folder: a job that was killed asks only for the missing ones when it runs again.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from scripts.common.chat_format import ChatFormat
from scripts.common.errors import entry_point
from scripts.common.files import file_lock, read_manifest, write_json, write_jsonl
from scripts.common.model_server import model_server
from scripts.common.problems import read_problems
from scripts.common.provenance import provenance
from scripts.common.server_settings import ServerSettings
from scripts.common.settings import parse_settings
from scripts.verilog.prompts import PromptStyle
from scripts.verilog.sampling import Request, SampleStore, Sampling, samples_fingerprint, summary_of, wanted


@dataclasses.dataclass(frozen=True)
class GenerateSettings:
    """How many answers a problem, how they are sampled and by what server."""

    samples_per_problem: int
    requests_in_flight: int
    chat: ChatFormat
    prompt: PromptStyle
    sampling: Sampling
    server: ServerSettings

    def __post_init__(self) -> None:
        if self.samples_per_problem < 1 or self.requests_in_flight < 1:
            raise ValueError("samples_per_problem and requests_in_flight must be positive")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of GenerateSettings")
    parser.add_argument("--model", type=Path, required=True, help="manifest.json of the model's folder")
    parser.add_argument("--problems", type=Path, required=True, help="folder in VerilogEval's layout")
    parser.add_argument("--state", type=Path, required=True, help="folder of side folders with finished samples")
    parser.add_argument("--server-log", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="samples, one a row")
    parser.add_argument("--record", type=Path, required=True, help="output: sampling, engine, counts, provenance")
    return parser.parse_args(argv)


def generate_missing(
    settings: GenerateSettings, model: Path, requests: Sequence[Request], store: SampleStore, server_log: Path
) -> None:
    """Starts the server and adds to `store` the samples that it lacks; without any, nothing is started."""
    missing = store.missing(requests)
    if not missing:
        return
    from transformers import AutoTokenizer

    from scripts.verilog.chat import Conversation, ask_all

    conversation = Conversation(AutoTokenizer.from_pretrained(model.parent), settings.chat)

    async def collect(base_url: str, model_name: str, engine: str) -> None:
        done = len(requests) - len(missing)
        with tqdm(total=len(requests), initial=done, desc="generate", unit="sample", mininterval=1) as progress:
            async for row in ask_all(
                base_url, model_name, missing, conversation, settings.sampling, settings.requests_in_flight, engine
            ):
                store.append(row)
                progress.update()

    with model_server(settings.server, model, server_log) as server:
        print(
            f"the server was up after {server.startup_sec:.0f} s; {len(missing)} of {len(requests)} samples to ask for"
        )
        asyncio.run(collect(server.base_url, server.model_name, f"vllm {server.vllm_version or 'unknown'}"))


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(GenerateSettings, args.settings)
    problems = read_problems(args.problems)
    requests = wanted(problems, settings.prompt, settings.samples_per_problem, settings.sampling.seed)
    manifest = read_manifest(args.model)
    key = samples_fingerprint(manifest, settings.chat, settings.sampling, dataclasses.asdict(settings.server), requests)
    folder = args.state / key
    with file_lock(folder / "lock"):
        store = SampleStore(folder / "samples.jsonl")
        generate_missing(settings, args.model, requests, store, args.server_log)
        rows = [store.rows[request.problem, request.sample] for request in requests]
    write_jsonl(args.output, rows)
    record = {**summary_of(rows), "provenance": provenance("scripts.verilog.generate", dataclasses.asdict(settings))}
    write_json(args.record, record)


if __name__ == "__main__":
    main()
