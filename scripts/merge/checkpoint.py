"""Safetensors checkpoints from their headers: which tensors lie where, and how they are dealt out to new shards.

Format: 8 bytes, the header's length (little endian); the header, JSON of name -> dtype, shape, data_offsets; the data.
Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from scripts.common.errors import UserError
from scripts.merge.folders import ModelFolder

INDEX_NAME = "model.safetensors.index.json"
# Of the types in which a checkpoint keeps weights, those that an update can be added to.
DTYPES: dict[str, Any] = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
# The reader of the safetensors project refuses longer headers.
MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class StoredTensor:
    """A tensor and where its bytes lie: `offset` from the start of the file `file`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Shard:
    """A safetensors file to be written: its tensors, in order."""

    name: str
    tensors: tuple[StoredTensor, ...]

    @property
    def header(self) -> bytes:
        """The length and the header; the data begin at a multiple of 8 bytes."""
        entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for tensor in self.tensors:
            start, end = end, end + tensor.size_bytes
            entries[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @property
    def size_bytes(self) -> int:
        return len(self.header) + sum(tensor.size_bytes for tensor in self.tensors)


def read_tensors(folder: ModelFolder) -> list[StoredTensor]:
    """All tensors of the checkpoint in `folder`, in the order of its files and in each of its bytes.

    Raises UserError when a file is missing, cut short or not safetensors, or a tensor is there twice.
    """
    sizes = folder.sizes()
    tensors: dict[str, StoredTensor] = {}
    for file in weight_files(folder, sizes):
        if file not in sizes:
            raise UserError(f"{folder}/{file}: {INDEX_NAME} names it, and it is not there")
        for tensor in read_header(folder, file, sizes[file]):
            if tensor.name in tensors:
                raise UserError(f"{folder}: {tensor.name} is in {tensors[tensor.name].file} and in {file}")
            tensors[tensor.name] = tensor
    return list(tensors.values())


def weight_files(folder: ModelFolder, names: Sequence[str] | dict[str, int]) -> list[str]:
    """The files that transformers would load: those of the index, else the single file, else every safetensors."""
    if INDEX_NAME in names:
        try:
            return sorted(set(folder.read_json(INDEX_NAME)["weight_map"].values()))
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{folder}/{INDEX_NAME}: has no weight_map of tensor names to files") from None
    if "model.safetensors" in names:
        return ["model.safetensors"]
    files = sorted(name for name in names if name.endswith(".safetensors"))
    if not files:
        raise UserError(f"{folder}: no safetensors file there; expected the folder of a model")
    return files


def read_header(folder: ModelFolder, file: str, size_bytes: int) -> list[StoredTensor]:
    """The tensors of one file of `size_bytes`, by offset."""
    where = f"{folder}/{file}"
    with folder.open_read(file) as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size_bytes - 8):
            raise UserError(f"{where}: not a safetensors file, or cut short")
        text = handle.read(length)
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = [
            StoredTensor(
                name, entry["dtype"], tuple(entry["shape"]), file,
                8 + length + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in entries.items()
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: its header is not safetensors' ({type(error).__name__}: {error})") from None
    tensors.sort(key=lambda tensor: tensor.offset)
    end = 8 + length
    for tensor in tensors:
        if tensor.offset != end or tensor.size_bytes < 0:
            raise UserError(f"{where}: {tensor.name} does not begin where the tensor before it ends")
        end += tensor.size_bytes
    if end != size_bytes:
        raise UserError(f"{where}: {size_bytes} bytes, its header promises {end}: cut short, or not the whole file")
    return tensors


def plan_shards(tensors: Sequence[StoredTensor], max_bytes: int) -> list[Shard]:
    """Deals `tensors`, in order, out to files of at most `max_bytes` of data; a larger tensor has a file of its own."""
    groups: list[list[StoredTensor]] = []
    filled = math.inf
    for tensor in tensors:
        if filled + tensor.size_bytes > max_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(tensor)
        filled += tensor.size_bytes
    if len(groups) == 1:
        return [Shard("model.safetensors", tuple(groups[0]))]
    return [
        Shard(f"model-{number:05d}-of-{len(groups):05d}.safetensors", tuple(group))
        for number, group in enumerate(groups, start=1)
    ]


def index_of(shards: Sequence[Shard]) -> dict[str, Any]:
    """The content of model.safetensors.index.json."""
    return {
        "metadata": {"total_size": sum(tensor.size_bytes for shard in shards for tensor in shard.tensors)},
        "weight_map": {tensor.name: shard.name for shard in shards for tensor in shard.tensors},
    }
