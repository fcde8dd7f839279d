"""Chooses JAX's platform, before JAX is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.common.devices import HardwareKind, require_devices
from scripts.common.errors import UserError


@dataclass(frozen=True)
class MeshShape:
    """Devices along each axis: fsdp shards samples and weights, tp shards heads and MLP width."""

    fsdp: int
    tp: int

    def __post_init__(self) -> None:
        if self.fsdp < 1 or self.tp < 1:
            raise ValueError(f"mesh axes must be at least 1, found fsdp {self.fsdp}, tp {self.tp}")

    @property
    def devices(self) -> int:
        return self.fsdp * self.tp


def choose_platform(kind: HardwareKind, hardware: str, mesh: MeshShape, purpose: str, processes: int = 1) -> None:
    """Virtual devices on a CPU, for the whole mesh or one of `processes` parts of it; else the arm's accelerator.

    Raises UserError where the accelerator is missing or the mesh cannot be parted.
    """
    if mesh.devices % processes:
        raise UserError(f"{processes} processes cannot share the {mesh.devices} devices of the mesh evenly")
    require_devices(kind, hardware, purpose)
    if kind == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={mesh.devices // processes}".strip()


def use_xla_flags(flags: tuple[str, ...]) -> None:
    """Adds flags to those of the environment: the TPU compiler's to LIBTPU_INIT_ARGS, the others to XLA_FLAGS.

    Raises UserError for one that XLA does not know, at which it would end the process without a word to the user.
    """
    for variable, is_tpu in (("LIBTPU_INIT_ARGS", True), ("XLA_FLAGS", False)):
        chosen = [flag for flag in flags if flag.startswith("--xla_tpu") == is_tpu]
        os.environ[variable] = " ".join([os.environ.get(variable, ""), *chosen]).strip()
        if chosen and not is_tpu:
            _require_known(chosen)


def _require_known(flags: list[str]) -> None:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    if subprocess.run(command, env=environment, capture_output=True).returncode:
        raise UserError(
            f"train.xla_flags: XLA does not start with {' '.join(flags)}; it does not know one, or its value"
        )


def use_compile_cache(folder: Path | None) -> None:
    """Keeps compiled programs in `folder`, for later processes, however fast they were to compile."""
    if folder is not None:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder.resolve())
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
