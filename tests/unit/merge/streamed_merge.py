"""The streaming merge of the small models, what it must give, and the line that it ends in, for the merge's tests."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from scripts.merge.merge import main
from tests.unit.merge.small_models import LORA, PREFIX

SETTINGS = {"lora": LORA, "shard_size_gb": 5.0}
UP = f"{PREFIX}1.mlp.up_proj.weight"


def merge(base: Any, adapter: Path, target: Any, **changes: Any) -> None:
    settings = json.dumps({**SETTINGS, **changes})
    main(["--settings", settings, "--base-model", str(base), "--adapter", str(adapter), "--output", str(target)])


def error_of(capsys: pytest.CaptureFixture[str], *args: Any, **changes: Any) -> str:
    with pytest.raises(SystemExit) as ended:
        merge(*args, **changes)
    assert ended.value.code == 2
    return capsys.readouterr().err


def stored(folder: Path) -> dict[str, np.ndarray]:
    """All tensors below the files of the index, or of the single file, read by the safetensors project's own reader."""
    index = folder / "model.safetensors.index.json"
    files = {"model.safetensors"} if not index.exists() else set(json.loads(index.read_text())["weight_map"].values())
    tensors = {}
    for file in files:
        with safe_open(folder / file, framework="flax") as handle:
            tensors |= {name: np.asarray(handle.get_tensor(name)) for name in handle.keys()}  # noqa: SIM118
    return tensors


def expected(base: dict[str, np.ndarray], factors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The merge in float64, rounded once: an independent statement of what must be written."""
    merged = dict(base)
    for name in [key.removesuffix(".lora_A.weight") for key in factors if key.endswith(".lora_A.weight")]:
        tensor = f"{name.removeprefix('base_model.model.')}.weight"
        a, b = (factors[f"{name}.lora_{which}.weight"].astype(np.float64) for which in "AB")
        merged[tensor] = (base[tensor].astype(np.float64) + LORA["alpha"] / LORA["rank"] * b @ a).astype(
            base[tensor].dtype
        )
    return merged


def assert_merged(found: dict[str, np.ndarray], base: dict[str, np.ndarray], factors: dict[str, np.ndarray]) -> None:
    wanted = expected(base, factors)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        if array.dtype.kind == "i" or f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight" not in factors:
            assert found[name].tobytes() == array.tobytes(), name
        else:
            # float32 sums near the middle between two values may round to the other one than float64's.
            steps = np.abs(found[name].astype(np.float64) - array.astype(np.float64))
            spacing = np.abs(array.astype(np.float64)) * float(ml_dtypes.finfo(array.dtype).eps) + 1e-6
            assert (steps <= spacing).all(), name
            assert (found[name] == array).mean() > 0.99 or array.dtype == np.float32, name


def write_old_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("old")
    return folder
