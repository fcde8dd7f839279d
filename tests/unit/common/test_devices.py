"""An accelerator that is missing is said before anything expensive starts."""

from pathlib import Path

import pytest

from scripts.common.devices import count_devices, require_devices
from scripts.common.errors import UserError


def test_counts_device_files(tmp_path: Path) -> None:
    for name in ("accel0", "accel1", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert count_devices("tpu", tmp_path) == 2
    assert count_devices("gpu", tmp_path) == 1


def test_newer_tpu_machines_use_vfio(tmp_path: Path) -> None:
    (tmp_path / "vfio").mkdir()
    (tmp_path / "vfio/0").touch()
    (tmp_path / "vfio/vfio").touch()
    assert count_devices("tpu", tmp_path) == 1


def test_a_missing_accelerator_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training the arm tpu needs tpu-v5p-8, and this machine has no TPU: .*TPU VM"):
        require_devices("tpu", "tpu-v5p-8", "training the arm tpu", tmp_path)
    require_devices("cpu", "laptop", "anything", tmp_path)
