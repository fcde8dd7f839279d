"""Whether the machine has the accelerators that an arm names: asked first, and without a framework."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from scripts.common.errors import UserError

HardwareKind = Literal["cpu", "gpu", "tpu"]

# Device files that the drivers make: TPU (older and newer machines), NVIDIA and AMD.
_DEVICE_FILES: dict[str, tuple[str, ...]] = {
    "tpu": ("accel[0-9]*", "vfio/[0-9]*"),
    "gpu": ("nvidia[0-9]*", "kfd"),
}
_HOW_TO_GET = {
    "tpu": "run this step on a TPU VM of that type (gcloud compute tpus tpu-vm create)",
    "gpu": "run this step on a machine with that GPU and NVIDIA's driver",
}


def count_devices(kind: HardwareKind, dev: Path = Path("/dev")) -> int:
    """How many device files of an accelerator kind are below `dev`; a CPU counts as one."""
    if kind == "cpu":
        return 1
    return sum(1 for pattern in _DEVICE_FILES[kind] for _ in dev.glob(pattern))


def require_devices(kind: HardwareKind, hardware: str, purpose: str, dev: Path = Path("/dev")) -> None:
    """Raises UserError unless this machine has at least one accelerator of `kind`.

    `hardware` is the entry of resources/hardware.yaml, `purpose` what the step does ("training the arm tpu").
    """
    if count_devices(kind, dev) == 0:
        raise UserError(f"{purpose} needs {hardware}, and this machine has no {kind.upper()}: {_HOW_TO_GET[kind]}")
