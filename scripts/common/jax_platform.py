"""Chooses JAX's platform, before JAX is imported."""

from __future__ import annotations

import os
from dataclasses import dataclass

from scripts.common.devices import HardwareKind, require_devices


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


def choose_platform(kind: HardwareKind, hardware: str, mesh: MeshShape, purpose: str) -> None:
    """Virtual devices for the whole mesh on a CPU; else the arm's accelerator, and a UserError where it is missing."""
    require_devices(kind, hardware, purpose)
    if kind == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={mesh.devices}".strip()
