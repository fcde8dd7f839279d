"""Chooses JAX's platform, before JAX is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass

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
