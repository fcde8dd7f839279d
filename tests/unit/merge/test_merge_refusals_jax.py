"""What does not fit is named before anything is written: adapter, base, target, room."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.common.files import read_manifest, write_json, write_manifest
from scripts.merge import folders
from tests.unit.merge.small_models import LORA, PREFIX, peft_factors, weights, write_base, write_peft_adapter
from tests.unit.merge.streamed_merge import UP, error_of, merge, write_old_model


def changed(factors: dict[str, np.ndarray], **changes: Any) -> dict[str, np.ndarray]:
    return {**factors, **{f"base_model.model.{PREFIX}{key}.weight": value for key, value in changes.items()}}


def without(factors: dict[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in factors.items() if part not in key}


ONE_LAYER_MORE = {
    "9.mlp.up_proj.lora_A": np.ones((4, 16), np.float32),
    "9.mlp.up_proj.lora_B": np.ones((40, 4), np.float32),
}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (changed(peft_factors(), **ONE_LAYER_MORE), "layers.9.mlp.up_proj.weight, which the checkpoint does not have"),
        (
            changed(peft_factors(), **{"1.mlp.up_proj.lora_B": np.ones((41, 4), np.float32)}),
            "layers.1.mlp.up_proj.weight has shape (40, 16), the adapter's update (41, 16)",
        ),
        (without(peft_factors(), "layers.1.mlp.up_proj.lora_B"), "layers.1.mlp.up_proj has factors"),
        (changed(peft_factors(), **{"1.mlp.up_proj.lora_A": np.full((4, 16), np.nan, np.float32)}), "not finite"),
        (peft_factors(rank=3), "rank 3, the run's LoRA rank is 4"),
        (changed(peft_factors(), **{"1.mlp.up_proj.lora_magnitude_vector": np.ones(4, np.float32)}), "is not a factor"),
        ({}, "has no LoRA factors"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit(
    base: Path, tmp_path: Path, tensors: dict[str, np.ndarray], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = write_old_model(tmp_path / "out")
    assert message in error_of(capsys, base, write_peft_adapter(tmp_path / "adapter", tensors), out)
    assert (out / "config.json").read_text() == "old"


@pytest.mark.parametrize(
    ("key", "value"), [("use_dora", True), ("bias", "all"), ("modules_to_save", ["lm_head"]), ("peft_type", "IA3")]
)
def test_an_adapter_that_is_more_than_lora(
    base: Path, tmp_path: Path, key: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = write_peft_adapter(tmp_path / "adapter", peft_factors(), **{key: value})
    assert key in error_of(capsys, base, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("key", "value"), [("rank", 8), ("alpha", 16.0), ("targets", "published")])
def test_an_adapter_trained_with_other_settings_is_refused(
    base: Path, adapter: Path, tmp_path: Path, key: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_of(capsys, base, adapter, tmp_path / "out", lora={**LORA, key: value})
    assert f"LoRA {key} {LORA[key]}, the run asks for {value}" in error


def test_an_adapter_of_another_base_is_refused(
    base: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(adapter.read_text())
    write_json(adapter, {**manifest, "base_fingerprint": "0" * 16})
    assert "trained on another base model" in error_of(capsys, base, adapter, tmp_path / "out")


def test_the_base_is_never_written_into(base: Path, adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = base.parent.parent / "link"
    link.symlink_to(base.parent)
    assert "is the base model's folder" in error_of(capsys, base, adapter, link / "manifest.json")
    read_manifest(base, verify_hashes=True)


def test_a_base_cut_short_is_named(
    base: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = base.parent / "model-00002-of-00003.safetensors"
    os.truncate(shard, shard.stat().st_size - 5)
    base.unlink()
    assert "model-00002-of-00003.safetensors" in error_of(capsys, base.parent, adapter, tmp_path / "out")
    shard.unlink()
    assert "names it, and it is not there" in error_of(capsys, base.parent, adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{nonsense", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_a_base_that_is_not_safetensors_is_named(
    adapter: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/model.safetensors").write_bytes(content)
    assert "bad/model.safetensors" in error_of(capsys, tmp_path / "bad", adapter, tmp_path / "out")


def test_quantised_weights_cannot_be_added_to(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "int8", {**weights(), UP: np.zeros((40, 16), np.int8)})
    assert f"{UP} is I8" in error_of(capsys, base, adapter, tmp_path / "out")


def test_an_overflow_is_no_model(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    huge = {**weights(np.float16), UP: np.full((40, 16), 65504, np.float16)}
    base = write_base(tmp_path / "huge", huge)
    assert f"{UP}: the merged weights are not finite" in error_of(capsys, base, adapter, tmp_path / "out")
    assert not (tmp_path / "out/config.json").exists()
    assert not (tmp_path / "out/model.safetensors").exists()


def test_a_full_disk_is_met_before_anything_is_written(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage)
    assert "GB are free" in error_of(capsys, base, adapter, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_manifest_that_its_files_do_not_fit_is_refused(
    base: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (base.parent / "tokenizer.json").write_text("{}")
    assert "tokenizer.json" in error_of(capsys, base, adapter, tmp_path / "out")
    write_manifest(base.parent, {"source": "small"})
    merge(base, adapter, tmp_path / "out")
