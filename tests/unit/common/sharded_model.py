"""Run with four virtual devices by test_tunix_sharding_jax.py: prints, as JSON, what became of annotations."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from scripts.common import tunix_gemma4
from scripts.common.lora import LoraSettings
from scripts.common.tunix_sharding import fit_shardings

MINI = Path("resources/mini/model")
LORA = LoraSettings(4, 4.0, 0.0, "all")


class Annotated(nnx.Module):
    """Parameters with right and wrong annotations, all on one device at first."""

    def __init__(self) -> None:
        self.right = parameter((8, 4), ("tp", None))
        self.one_axis_short = parameter((8, 4), ("tp",))
        self.one_axis_long = parameter((8, 4), ("tp", None, None))
        self.indivisible = parameter((6, 4), ("tp", None))
        self.unannotated = nnx.LoRAParam(jnp.ones(3))


def parameter(shape: tuple[int, ...], annotation: tuple[str | None, ...]) -> nnx.LoRAParam:
    return nnx.LoRAParam(jnp.ones(shape), out_sharding=annotation)


def shard(variable: nnx.Variable) -> list[int]:
    """The shape of what one device holds."""
    return list(variable.get_value().addressable_shards[0].data.shape)


def moments(optimizer: nnx.Optimizer, name: str) -> list[list[int]]:
    return [
        shard(variable)
        for path, variable in nnx.iter_graph(optimizer)
        if isinstance(variable, nnx.Variable) and name in path and "opt_state" in path
    ]


def main() -> None:
    mesh = tunix_gemma4.make_mesh(1, 4)
    found: dict[str, Any] = {}
    # The state is made before the parameters are mended, so that it inherits the wrong annotations.
    model = Annotated()
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.LoRAParam)
    found["reported"] = sorted(map(str, fit_shardings(model, mesh)), key=lambda line: ["short", "long", "indi"].index(
        next(word for word in ("short", "long", "indi") if word in line.split()[0])))  # fmt: skip
    found["shards"] = {name: shard(getattr(model, name)) for name in vars(model) if isinstance(
        getattr(model, name), nnx.Variable)}  # fmt: skip
    found["reported_again"] = list(map(str, fit_shardings(model, mesh)))
    found["reported_of_optimizer"] = list(map(str, fit_shardings(optimizer, mesh)))
    found["moments_of_right"] = moments(optimizer, "right")
    found["moments_of_indivisible"] = moments(optimizer, "indivisible")
    with mesh:
        mini = tunix_gemma4.add_lora(tunix_gemma4.load_model(MINI, mesh, "float32"), LORA, mesh, 0)
        small = tunix_gemma4.add_lora(tunix_gemma4.load_model(MINI, mesh, "float32"), LORA, mesh, 0, "nf4")
    found["reported_of_mini"] = list(map(str, fit_shardings(mini, mesh)))
    found["reasons_of_mini_in_four_bits"] = sorted({entry.reason for entry in fit_shardings(small, mesh)})
    layer, small_layer = mini.layers[0], small.layers[0]
    found["mini_shards"] = {
        "kernel_lora_b": shard(layer.mlp.gate_proj.kernel_lora_b),
        "w_lora_a": shard(layer.attn.attn_vec_einsum.w_lora_a),
    }
    kernel = small_layer.mlp.gate_proj.kernel.array
    in_bits = sum(
        part.get_value().size * jax.dtypes.itemsize_bits(part.get_value().dtype)
        for part in (kernel.qvalue, kernel.scale)
    )
    # Float32 scales: with bfloat16's, as of a model in bfloat16, it is half of what they add.
    found["share_of_bfloat16"] = in_bits / (16 * layer.mlp.gate_proj.kernel.get_value().size)
    found["four_bit_shards"] = {
        "gate_proj": shard(small_layer.mlp.gate_proj.kernel.array.qvalue),
        "attn_vec_einsum": shard(small_layer.attn.attn_vec_einsum.w.array.qvalue),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    jax.config.update("jax_platforms", "cpu")
    main()
