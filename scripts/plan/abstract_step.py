"""The training step on shapes alone, lowered for a TPU slice that is not there.

The step, the loss, the optimizer and LoRA's injection are the training stage's own functions; only the weights are
replaced by their shapes and shardings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tunix.models.gemma4 import model as gemma4

from scripts.common import tunix_gemma4, tunix_step
from scripts.common.errors import UserError
from scripts.common.slices import parse_slice
from scripts.common.tunix_config import model_config
from scripts.plan.points import CompilePoint

# None changes what is compiled but for scalars: the rate and the decay enter as such, the accumulation as a count.
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 1e-3
MICRO_BATCHES_PER_STEP = 8


@dataclasses.dataclass(frozen=True)
class LoweredStep:
    """The step before XLA compiles it, and what each part of its arguments takes on one chip, in bytes."""

    lowered: jax.stages.Lowered
    arguments_bytes: dict[str, int]


def lower_point(point: CompilePoint, hf_config: dict[str, Any]) -> LoweredStep:
    """Lowers one point. Raises UserError for a model, mesh or batch that Tunix or JAX refuses."""
    choice = point.choice
    mesh = slice_mesh(choice.slice_name, choice.mesh.fsdp, choice.mesh.tp)
    config = dataclasses.replace(model_config(hf_config, choice.dtype), num_layers=point.layers)
    model, optimizer = abstract_state(config, point)
    for node in (model, optimizer):
        place(node, mesh)
    batch = abstract_batch(choice.rows, point.row_len, mesh)
    step = functools.partial(tunix_step.train_step, loss=tunix_step.LOSSES[choice.cross_entropy])
    jitted = nnx.jit(step, donate_argnames=tunix_step.DONATED_ARGUMENTS)
    with jax.set_mesh(mesh), activations_sharded_over(mesh):
        try:
            lowered = jitted.lower(model, optimizer, batch)
        except ValueError as error:
            if "divisible" not in str(error) and "Indivisible" not in type(error).__name__:
                raise
            raise UserError(f"mesh (fsdp {choice.mesh.fsdp}, tp {choice.mesh.tp}): JAX refuses it: "
                            f"{str(error).splitlines()[0]}") from None  # fmt: skip
    return LoweredStep(lowered.lowered, arguments_bytes(model, optimizer))


def slice_mesh(slice_name: str, fsdp: int, tp: int) -> Mesh:
    """A (fsdp, tp) mesh over the described devices of a slice; asks libtpu, and no TPU."""
    device_slice = parse_slice(slice_name)
    try:
        topology = topologies.get_topology_desc(device_slice.topology, platform="tpu")
    except Exception as error:  # libtpu's own errors have no common class
        raise UserError(f"libtpu does not describe {device_slice.topology}: {str(error).splitlines()[0]}") from None
    devices = np.array(topology.devices)
    if devices.size != fsdp * tp:
        raise UserError(f"mesh (fsdp {fsdp}, tp {tp}) needs {fsdp * tp} devices, {slice_name} has {devices.size}")
    axis_types = (jax.sharding.AxisType.Auto,) * 2
    return Mesh(devices.reshape(fsdp, tp), tunix_gemma4.MESH_AXES, axis_types=axis_types)


def abstract_state(config: gemma4.ModelConfig, point: CompilePoint) -> tuple[gemma4.Gemma4, nnx.Optimizer]:
    """Model with LoRA, and its optimizer, whose variables are shapes."""
    lora = point.choice.lora

    def build() -> tuple[gemma4.Gemma4, nnx.Optimizer]:
        model = tunix_gemma4.inject_lora(gemma4.Gemma4(config, rngs=nnx.Rngs(0)), lora, 0)
        if lora.dropout > 0:
            tunix_gemma4.seed_dropout(model, 0)
        transformation = tunix_step.lora_optimizer(LEARNING_RATE, WEIGHT_DECAY, None, MICRO_BATCHES_PER_STEP)
        return model, nnx.Optimizer(model, transformation, wrt=nnx.LoRAParam)  # type: ignore[arg-type]

    model, optimizer = nnx.eval_shape(build)
    if point.choice.remat == "decoder":
        tunix_gemma4.rematerialize_decoder_layers(model)
    return model, optimizer


def place(node: nnx.Module, mesh: Mesh) -> None:
    """Gives every abstract variable the sharding that its annotation names, over `mesh`; without one, a copy a chip."""
    state = nnx.state(node)

    def placed(leaf: Any, spec: Any) -> jax.ShapeDtypeStruct:
        spec = spec if isinstance(spec, PartitionSpec) else PartitionSpec()
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    nnx.update(node, jax.tree.map(placed, state, nnx.get_partition_spec(state)))


def arguments_bytes(model: nnx.Module, optimizer: nnx.Optimizer) -> dict[str, int]:
    """Bytes a chip of the placed variables: frozen weights, LoRA, AdamW's moments, accumulated gradients, the rest.

    Accumulated gradients are float32 whatever the model's type: optax's own choice.
    """
    lora, rest = nnx.split_state(nnx.state(model), nnx.LoRAParam, ...)
    frozen, other = nnx.split_state(rest, nnx.Param, ...)
    optimizer_state = nnx.state(optimizer)
    accumulated = optimizer_state["opt_state"]["acc_grads"]
    sizes = {
        "frozen_weights": _chip_bytes(frozen),
        "lora": _chip_bytes(lora),
        "accumulated_gradients": _chip_bytes(accumulated),
        "random_state": _chip_bytes(other),
    }
    return {**sizes, "optimizer_moments": _chip_bytes(optimizer_state) - sizes["accumulated_gradients"]}


def _chip_bytes(state: Any) -> int:
    return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(state))


def abstract_batch(rows: int, row_len: int, mesh: Mesh) -> tunix_step.Batch:
    """Shapes of one micro-batch, rows sharded over the data axis."""
    sharding = NamedSharding(mesh, PartitionSpec(tunix_gemma4.MESH_AXES[0]))

    def array(dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, row_len), dtype, sharding=sharding)

    return tunix_step.Batch(  # type: ignore[call-arg]
        tokens=array(jnp.int32),
        positions=array(jnp.int32),
        documents=array(jnp.int32),
        loss_weights=array(jnp.float32),
    )


@contextlib.contextmanager
def activations_sharded_over(mesh: Mesh) -> Iterator[None]:
    """Tunix's sharding constraints on activations, as on a TPU: it drops them where JAX's first device is a CPU,
    which is the case here although the step is compiled for a TPU."""
    original = gemma4.shard

    def shard(x: jax.Array, spec: tuple[str | None, ...], eager: bool = False) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, PartitionSpec(*spec)))

    gemma4.shard = shard
    try:
        yield
    finally:
        gemma4.shard = original
