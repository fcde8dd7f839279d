"""What a Tunix run needs to go on, LoRA factors and optimizer, as Orbax folders: written and read by process 0 alone.

The other processes of a slice give it their parts of the arrays and get theirs back over the slice's own network: no
folder has to be shared between hosts, and all of them go on from the same checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.experimental import multihost_utils

# Folders of a checkpoint. The merge reads the first.
MODEL_PARAMS = "model_params"
OPTIMIZER_STATE = "optimizer_state"


def state_of(model: nnx.Module, optimizer: nnx.Optimizer) -> dict[str, nnx.State]:
    """What a checkpoint holds, by folder. The optimizer's `step` counts micro-batches."""
    return {
        MODEL_PARAMS: nnx.state(model, nnx.LoRAParam),
        OPTIMIZER_STATE: nnx.state(optimizer, nnx.optimizer.OptState),
    }


def size_bytes(state: dict[str, nnx.State]) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def host_arrays(state: dict[str, nnx.State]) -> dict[str, Any]:
    """`state` as nested mappings of whole numpy arrays. Every process must call it; it waits for the device."""
    return {name: jax.tree.map(_whole, nnx.to_pure_dict(part)) for name, part in state.items()}


def write_arrays(folder: Path, arrays: dict[str, Any]) -> None:
    """Writes each part of `arrays` as an Orbax folder below `folder`, by this process alone."""
    for name, tree in arrays.items():
        with _errors_raised_only(), _checkpointer() as checkpointer:
            checkpointer.save(str((folder / name).resolve()), ocp.args.PyTreeSave(tree))


def restore(model: nnx.Module, optimizer: nnx.Optimizer, folder: Path | None) -> None:
    """Puts the checkpoint in `folder` into `model` and `optimizer`, with the sharding that they have.

    Every process calls it; only process 0 reads, the others have no `folder`.
    """
    parts = state_of(model, optimizer)
    for (name, part), target in zip(parts.items(), (model, optimizer), strict=True):
        present = nnx.to_pure_dict(part)
        read = _read(folder / name, present) if folder is not None else jax.tree.map(_empty, present)
        nnx.replace_by_pure_dict(part, jax.tree.map(_placed_like, present, read))
        nnx.update(target, part)


def _read(folder: Path, like: Any) -> Any:
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    with _checkpointer() as checkpointer:
        return checkpointer.restore(str(folder.resolve()), ocp.args.PyTreeRestore(like, restore_args=as_numpy))


@contextlib.contextmanager
def _errors_raised_only() -> Iterator[None]:
    """Orbax logs the errors that it raises as well, each with a traceback: a full disk would take a page."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _checkpointer() -> ocp.Checkpointer:
    """Orbax, told that no other process of the slice takes part."""
    process = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix="train"
    )
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(multiprocessing_options=alone), multiprocessing_options=alone)


def _whole(array: jax.Array) -> np.ndarray:
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def _empty(array: jax.Array) -> np.ndarray:
    return np.zeros(array.shape, array.dtype)


def _placed_like(present: jax.Array, read: np.ndarray) -> jax.Array:
    """`read`, which process 0 has, where `present` is."""
    value = np.asarray(multihost_utils.broadcast_one_to_all(read) if jax.process_count() > 1 else read)
    if isinstance(present.sharding, jax.sharding.NamedSharding):
        return jax.make_array_from_callback(value.shape, present.sharding, lambda index: value[index])
    return jnp.asarray(value)
