"""Pre-trains the mini model from scratch and writes it beside the tokenizer; see pretraining.py for what it learns.

python -m scripts.mini.make_model
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer

from scripts.common.errors import entry_point
from scripts.common.files import read_json, write_json
from scripts.mini.architecture import MULTIMODAL_IDS, mini_model, published_form
from scripts.mini.pretraining import Pretraining, pretrain

# The model's vocabulary is a multiple of this, so that tensor-parallel meshes divide it; the tail stays unused.
VOCABULARY_MULTIPLE = 64


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    defaults = Pretraining()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, default=Path("resources/mini/model"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("resources/mini/model"), help="folder of the model")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--problem-seed", type=int, default=defaults.problem_seed, help="of the held-out problems")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


def padded_vocabulary(tokens: int) -> int:
    return -(-(tokens + len(MULTIMODAL_IDS)) // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    model = mini_model(padded_vocabulary(len(tokenizer)))
    settings = Pretraining(steps=args.steps, seed=args.seed, problem_seed=args.problem_seed)
    loss = pretrain(model, tokenizer, settings)
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.output.parent, prefix=f".{args.output.name}.") as name:
        folder = Path(name)
        model.save_pretrained(folder)
        write_json(folder / "config.json", published_form(read_json(folder / "config.json")))
        for file in sorted(folder.iterdir()):
            file.chmod(0o644)
            file.replace(args.output / file.name)
    print(f"{args.output}: {model.num_parameters():,} parameters, loss {loss:.3f}")


if __name__ == "__main__":
    main()
