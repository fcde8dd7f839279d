"""Writes a merged model shard by shard; of the weights only blocks of a MiB or so are in memory.

Finished shards are noted in a state file, under a fingerprint of all that decides them: a killed merge goes on after
its last finished shard. Until the manifest is there, the folder has neither config.json nor an index: nothing loads it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from scripts.common.errors import UserError
from scripts.common.files import MANIFEST_NAME
from scripts.merge.checkpoint import DTYPES, INDEX_NAME, Shard, StoredTensor, index_of
from scripts.merge.folders import HashedFile, ModelFolder, read_exactly
from scripts.merge.layout import LowRankUpdate

# Weights changed at once: their float32 sums stay in a core's cache.
BLOCK_WEIGHTS = 1 << 19
COPY_BYTES = 4 << 20
STATE_NAME = ".merge-state.json"
# Weights in other formats, which would not be the merged ones, and an adapter that transformers would add once more.
NOT_COPIED = (".safetensors", ".index.json", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx")
NOT_COPIED_NAMES = (MANIFEST_NAME, STATE_NAME, "adapter_config.json")


def merge_block(weights: np.ndarray, update: LowRankUpdate, rows: slice, sums: np.ndarray) -> np.ndarray:
    """`weights` (rows, in) plus the update's `rows`, summed in float32 in `sums` and rounded once to their own type."""
    np.matmul(update.left[rows], update.right, out=sums)
    np.multiply(sums, np.float32(update.scale), out=sums)
    np.add(sums, weights.astype(np.float32), out=sums)
    return sums.astype(weights.dtype)


def write_merged(source: BinaryIO, tensor: StoredTensor, update: LowRankUpdate, target: HashedFile) -> None:
    """Streams `tensor` from `source`, placed at its start, to `target`, with `update` added."""
    dtype = np.dtype(DTYPES[tensor.dtype])
    rows, columns = tensor.shape
    limit = np.float32(ml_dtypes.finfo(dtype).max)
    step = max(1, BLOCK_WEIGHTS // columns)
    weights, sums = np.empty((step, columns), dtype), np.empty((step, columns), np.float32)
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        count = block.stop - start
        read_exactly(source, weights[:count].view(np.uint8).reshape(-1).data, tensor.file)
        merged = merge_block(weights[:count], update, block, sums[:count])
        # Written so that NaN fails too.
        if not (sums[:count].max() <= limit and sums[:count].min() >= -limit):
            raise UserError(f"{tensor.name}: the merged weights are not finite in {tensor.dtype}; nothing is published")
        target.write(merged.view(np.uint8).reshape(-1))


def copy_bytes(source: BinaryIO, size_bytes: int, name: str, target: HashedFile) -> None:
    buffer = memoryview(bytearray(min(size_bytes, COPY_BYTES)))
    while size_bytes:
        part = buffer[: min(size_bytes, COPY_BYTES)]
        read_exactly(source, part, name)
        target.write(part)
        size_bytes -= len(part)


def write_shard(
    base: ModelFolder,
    target: ModelFolder,
    shard: Shard,
    updates: Mapping[str, LowRankUpdate],
    report: Callable[[int], Any],
) -> dict[str, Any]:
    """Writes one shard, and calls `report` with the bytes of each tensor done; returns its entry in a manifest."""
    with contextlib.ExitStack() as files:
        sources: dict[str, BinaryIO] = {}
        with target.writing(shard.name) as file:
            file.write(shard.header)
            for tensor in shard.tensors:
                if tensor.file not in sources:
                    sources[tensor.file] = files.enter_context(base.open_read(tensor.file))
                source = sources[tensor.file]
                source.seek(tensor.offset)
                if tensor.name in updates:
                    write_merged(source, tensor, updates[tensor.name], file)
                else:
                    copy_bytes(source, tensor.size_bytes, tensor.file, file)
                report(tensor.size_bytes)
        return file.entry


def finished_shards(target: ModelFolder, identity: str, shards: Sequence[Shard]) -> dict[str, dict[str, Any]]:
    """Name -> manifest entry of the shards that an earlier, killed try of the same merge (`identity`) has written."""
    sizes = target.sizes()
    if STATE_NAME not in sizes:
        return {}
    try:
        state = target.read_json(STATE_NAME)
    except UserError:
        return {}
    if state.get("identity") != identity:
        return {}
    return {
        shard.name: state["shards"][shard.name]
        for shard in shards
        if shard.name in state["shards"] and sizes.get(shard.name) == shard.size_bytes
    }


def clear(target: ModelFolder, kept: Mapping[str, Any]) -> None:
    """Removes what an earlier model left in `target`, its manifest first, but for the `kept` shards and the state."""
    names = target.sizes()
    for name in sorted(
        names, key=lambda name: (name != MANIFEST_NAME, name != INDEX_NAME, name != "config.json", name)
    ):
        if name not in kept and (name != STATE_NAME or not kept):
            target.remove(name)


def stream_model(
    base: ModelFolder,
    target: ModelFolder,
    shards: Sequence[Shard],
    updates: Mapping[str, LowRankUpdate],
    identity: str,
    manifest: Mapping[str, Any],
    jobs: int,
) -> None:
    """Writes the merged model to `target`: shards, index, configuration and tokenizer, the manifest last.

    `identity` stands for all that decides the shards. `manifest` has the manifest's other keys. `jobs` shards are
    written at once, each in a thread of its own, in which BLAS adds no others.
    """
    done = finished_shards(target, identity, shards)
    clear(target, done)
    missing = [shard for shard in shards if shard.name not in done]
    target.require_space(sum(shard.size_bytes for shard in missing))
    total = sum(tensor.size_bytes for shard in missing for tensor in shard.tensors)
    with (
        threadpool_limits(1, "blas"),
        tqdm(total=total, desc=f"merge {len(missing)} shards", unit="B", unit_scale=True) as progress,
        ThreadPoolExecutor(jobs) as pool,
    ):
        tasks = {pool.submit(write_shard, base, target, shard, updates, progress.update): shard for shard in missing}
        try:
            for task in as_completed(tasks):
                done[tasks[task].name] = task.result()
                target.write_json(STATE_NAME, {"identity": identity, "shards": done})
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    files = {shard.name: done[shard.name] for shard in shards}
    if len(shards) > 1:
        files[INDEX_NAME] = target.write_json(INDEX_NAME, index_of(shards))
    files |= copy_rest(base, target)
    target.remove(STATE_NAME)
    target.write_json(MANIFEST_NAME, {**manifest, "files": files})


def copy_rest(base: ModelFolder, target: ModelFolder) -> dict[str, dict[str, Any]]:
    """Copies configuration, tokenizer and the rest, config.json last; returns their entries in a manifest."""
    sizes = base.sizes()
    names = [name for name in sizes if not name.endswith(NOT_COPIED) and name not in NOT_COPIED_NAMES]
    entries = {}
    for name in sorted(names, key=lambda name: (name == "config.json", name)):
        with base.open_read(name) as source, target.writing(name) as file:
            copy_bytes(source, sizes[name], name, file)
        entries[name] = file.entry
    return entries


def check_updates(updates: Mapping[str, LowRankUpdate], tensors: Sequence[StoredTensor]) -> None:
    """Raises UserError unless every update has a tensor of its shape, of a type that can be added to."""
    by_name = {tensor.name: tensor for tensor in tensors}
    for name, update in updates.items():
        tensor = by_name.get(name)
        if tensor is None:
            raise UserError(f"base model: the adapter changes {name}, which the checkpoint does not have")
        if tensor.shape != update.shape:
            raise UserError(f"base model: {name} has shape {tensor.shape}, the adapter's update {update.shape}")
        if tensor.dtype not in DTYPES:
            raise UserError(f"base model: {name} is {tensor.dtype}; a merge needs one of {', '.join(DTYPES)}")
        if tensor.size_bytes != math.prod(tensor.shape) * np.dtype(DTYPES[tensor.dtype]).itemsize:
            raise UserError(f"base model: {name} has {tensor.size_bytes} bytes, not those of {tensor.shape}")
