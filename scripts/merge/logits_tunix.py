"""Logits of the model as trained in Tunix, base plus LoRA, on the probe rows: what the merged model must reproduce."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.devices import HardwareKind
from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, read_manifest
from scripts.common.jax_platform import MeshShape, choose_platform
from scripts.common.lora import LoraSettings
from scripts.common.settings import parse_settings
from scripts.merge.layout import LoraFactors
from scripts.merge.probe import Dtype, Probe, read_probe, save_arrays


@dataclass(frozen=True)
class TunixLogitsSettings:
    """How the arm runs in Tunix, and on how many rows it is compared."""

    hardware: str
    hardware_kind: HardwareKind
    mesh: MeshShape
    dtypes: tuple[Dtype, ...]
    prompts: int


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of TunixLogitsSettings")
    parser.add_argument("--base-model", type=Path, required=True, help="manifest of the base model")
    parser.add_argument("--adapter", type=Path, required=True, help="manifest of the Orbax adapter")
    parser.add_argument("--tokens", type=Path, required=True, help="Parquet of the data stage")
    parser.add_argument(
        "--output", type=Path, required=True, help="npz to write: an array a type, (rows, positions, vocabulary)"
    )
    return parser.parse_args(argv)


def tunix_logits(
    base: Path, factors: dict[str, LoraFactors], lora: LoraSettings, mesh_shape: MeshShape, dtype: Dtype, probe: Probe
) -> np.ndarray:
    """Logits at the probe's positions, float32, shape (rows, positions, vocabulary)."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from scripts.common import tunix_gemma4
    from scripts.common.tunix_step import document_mask

    mesh = tunix_gemma4.make_mesh(mesh_shape.fsdp, mesh_shape.tp)
    with mesh:
        model = tunix_gemma4.load_model(base, mesh, dtype)
        # Dropout belongs to training; the factors below replace the random ones made here.
        still = LoraSettings(rank=lora.rank, alpha=lora.alpha, dropout=0.0, targets=lora.targets)
        model = tunix_gemma4.add_lora(model, still, mesh, seed=0)
        state = nnx.state(model, nnx.LoRAParam)
        flat = dict(nnx.to_flat_state(state))
        if len(flat) != 2 * len(factors):
            raise UserError(f"adapter: {len(factors)} modules, the model has {len(flat) // 2} with these LoRA targets")
        for path, parameter in flat.items():
            module = factors[".".join(map(str, path[:-1]))]
            value = module.a if str(path[-1]).endswith("_a") else module.b
            parameter.set_value(jnp.asarray(value, parameter.dtype))
        nnx.update(model, nnx.from_flat_state(flat))

        @nnx.jit
        def forward(model: nnx.Module, tokens: jax.Array) -> jax.Array:
            positions = jnp.arange(tokens.shape[1])[None]
            return model(tokens, positions, None, document_mask(jnp.ones_like(tokens)))[0]

        rows = [forward(model, jnp.asarray(tokens)[None])[0, -probe.positions :] for tokens in probe.rows]
        return np.stack([np.asarray(row, np.float32) for row in rows])


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    settings = parse_settings(TunixLogitsSettings, args.settings)
    choose_platform(settings.hardware_kind, settings.hardware, settings.mesh, "the logits of the trained model")
    from scripts.merge.adapters import read_factors

    read_manifest(args.base_model)
    adapter = read_manifest(args.adapter)
    base, lora = args.base_model.parent, LoraSettings(**adapter["lora"])
    factors = read_factors(args.adapter.parent, read_json(base / "config.json"), lora)
    probe = read_probe(args.tokens, settings.prompts)
    logits = {dtype: tunix_logits(base, factors, lora, settings.mesh, dtype, probe) for dtype in settings.dtypes}
    save_arrays(args.output, logits)


if __name__ == "__main__":
    main()
