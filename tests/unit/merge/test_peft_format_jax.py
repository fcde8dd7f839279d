"""PEFT's format, there and back: the same updates, the quirks of vLLM and of Tunix among them."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scripts.common.errors import UserError
from scripts.common.files import read_json, write_manifest
from scripts.merge import export_adapter, import_adapter
from scripts.merge.layout import LoraFactors, LowRankUpdate, updates_of_adapter
from scripts.merge.orbax_adapter import read_orbax, write_orbax
from scripts.merge.peft_format import read_peft, with_v_of_k, without_v_of_k, write_peft
from scripts.merge.to_tunix import modules_of_updates
from tests.unit.merge.small_models import LORA

WIDTH, HEADS, KV_HEADS, HEAD_DIM, GLOBAL_DIM, MLP = 12, 4, 2, 3, 6, 20
# One sliding layer, then a global one where K is V, with heads twice as wide.
TEXT = {
    "model_type": "gemma4_text", "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"],
    "attention_k_eq_v": True, "num_kv_shared_layers": 0, "head_dim": HEAD_DIM, "global_head_dim": GLOBAL_DIM,
    "num_key_value_heads": KV_HEADS, "num_global_key_value_heads": 1,
}  # fmt: skip
K_OF_GLOBAL = "model.language_model.layers.1.self_attn.k_proj.weight"
V_OF_GLOBAL = K_OF_GLOBAL.replace("k_proj", "v_proj")


def tunix_modules(rank: int = 4, seed: int = 0) -> dict[str, LoraFactors]:
    rng = np.random.default_rng(seed)

    def pair(a: tuple[int, ...], b: tuple[int, ...]) -> LoraFactors:
        return LoraFactors(rng.standard_normal((*a, rank), np.float32), rng.standard_normal((rank, *b), np.float32))

    modules = {}
    for layer, dim in enumerate((HEAD_DIM, GLOBAL_DIM)):
        modules |= {
            f"layers.{layer}.attn.q_einsum": pair((WIDTH,), (HEADS, dim)),
            f"layers.{layer}.attn.attn_vec_einsum": pair((HEADS, dim), (WIDTH,)),
            f"layers.{layer}.mlp.gate_proj": pair((WIDTH,), (MLP,)),
            f"layers.{layer}.mlp.up_proj": pair((WIDTH,), (MLP,)),
            f"layers.{layer}.mlp.down_proj": pair((MLP,), (WIDTH,)),
        }
    modules["layers.0.attn.kv_einsum"] = pair((WIDTH,), (2, KV_HEADS, HEAD_DIM))
    modules["layers.1.attn.k_einsum"] = pair((WIDTH,), (1, GLOBAL_DIM))
    return modules


def deltas(updates: dict[str, LowRankUpdate]) -> dict[str, np.ndarray]:
    return {name: update.scale * (update.left @ update.right) for name, update in updates.items()}


def assert_same_updates(first: dict[str, LowRankUpdate], second: dict[str, LowRankUpdate]) -> None:
    assert first.keys() == second.keys()
    for name, delta in deltas(first).items():
        np.testing.assert_allclose(deltas(second)[name], delta, rtol=1e-5, atol=1e-5)


def test_written_and_read_it_is_the_same_and_v_follows_k_where_k_is_v(tmp_path: Path) -> None:
    updates = updates_of_adapter(tunix_modules(), alpha=8.0)
    write_peft(tmp_path, updates, 4, 8.0)
    read = read_peft(tmp_path)
    np.testing.assert_array_equal(deltas(read)[V_OF_GLOBAL], deltas(updates)[K_OF_GLOBAL])
    assert V_OF_GLOBAL not in updates
    assert_same_updates(without_v_of_k(read, TEXT), updates)
    targets = read_json(tmp_path / "adapter_config.json")["target_modules"]
    assert set(targets) == {name.removesuffix(".weight") for name in updates}


def test_a_v_that_is_not_k_is_refused_where_k_is_v() -> None:
    updates = with_v_of_k(updates_of_adapter(tunix_modules(), 8.0))
    other = updates[V_OF_GLOBAL]
    updates[V_OF_GLOBAL] = LowRankUpdate(-other.left, other.right, other.scale)
    with pytest.raises(UserError, match=r"layers\.1\.self_attn\.v_proj.*another way than K"):
        without_v_of_k(updates, TEXT)


def test_from_tunix_to_peft_to_tunix_the_factors_are_the_same() -> None:
    modules = tunix_modules()
    back, rank, alpha = modules_of_updates(updates_of_adapter(modules, 8.0), TEXT)
    assert (rank, alpha) == (4, 8.0)
    assert back.keys() == modules.keys()
    for name, factors in modules.items():
        np.testing.assert_array_equal(back[name].a, factors.a, err_msg=name)
        np.testing.assert_array_equal(back[name].b, factors.b, err_msg=name)


def test_where_k_and_v_have_their_own_a_the_rank_doubles_and_the_update_stays() -> None:
    updates = updates_of_adapter(tunix_modules(), 8.0)
    v = "model.language_model.layers.0.self_attn.v_proj.weight"
    updates[v] = LowRankUpdate(updates[v].left, updates[v].right[::-1].copy(), updates[v].scale)
    modules, rank, alpha = modules_of_updates(updates, TEXT)
    assert (rank, alpha) == (8, 16.0)
    assert modules["layers.0.attn.kv_einsum"].a.shape == (WIDTH, 8)
    assert_same_updates(updates_of_adapter(modules, alpha), updates)


@pytest.mark.parametrize("missing", ["k_proj", "v_proj"])
def test_k_without_v_has_no_module_in_tunix(missing: str) -> None:
    updates = updates_of_adapter(tunix_modules(), 8.0)
    del updates[f"model.language_model.layers.0.self_attn.{missing}.weight"]
    with pytest.raises(UserError, match="one of K and V only"):
        modules_of_updates(updates, TEXT)


def test_a_module_that_tunix_lacks_is_named() -> None:
    update = LowRankUpdate(np.ones((3, 4), np.float32), np.ones((4, 5), np.float32), 1.0)
    with pytest.raises(UserError, match=r"lm_head\.weight has no LoRA module in Tunix"):
        modules_of_updates({"lm_head.weight": update}, TEXT)


def test_bfloat16_factors_and_rslora_are_read(tmp_path: Path) -> None:
    module = "base_model.model.model.language_model.layers.0.mlp.up_proj"
    a, b = np.ones((4, 5), ml_dtypes.bfloat16), np.ones((3, 4), ml_dtypes.bfloat16)
    save_file({f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "lora_alpha": 8, "use_rslora": True})
    )
    (update,) = read_peft(tmp_path).values()
    assert update.scale == pytest.approx(8 / 2)
    assert update.left.dtype == np.float32


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_text(json.dumps({"text_config": TEXT}))
    return write_manifest(tmp_path / "base", {"source": "small"})


def write_tunix_adapter(folder: Path, modules: dict[str, LoraFactors]) -> Path:
    write_orbax(folder / "model_params", modules)
    return write_manifest(folder, {"format": "orbax", "lora": LORA, "base_source": "small", "step": 3})


def test_the_commands_go_there_and_back(tmp_path: Path, base: Path) -> None:
    adapter = write_tunix_adapter(tmp_path / "orbax", tunix_modules())
    exported, imported = tmp_path / "peft/manifest.json", tmp_path / "again/manifest.json"
    common = ["--base-model", str(base), "--output"]
    export_adapter.main([*common, str(exported), "--adapter", str(adapter), "--settings", json.dumps(LORA)])
    assert read_json(exported)["format"] == "peft"
    import_adapter.main([*common, str(imported), "--adapter", str(exported.parent)])
    manifest = read_json(imported)
    assert manifest["lora"] == LORA
    back, modules = read_orbax(tmp_path / "again/model_params"), tunix_modules()
    assert back.keys() == modules.keys()
    assert all(np.array_equal(back[name].b, modules[name].b) for name in modules)


def test_a_tunix_adapter_without_a_module_is_refused_by_name(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    modules: dict[str, Any] = tunix_modules()
    del modules["layers.1.attn.k_einsum"]
    adapter = write_tunix_adapter(tmp_path / "orbax", modules)
    common = ["--base-model", str(base), "--output", str(tmp_path / "peft/manifest.json")]
    with pytest.raises(SystemExit):
        export_adapter.main([*common, "--adapter", str(adapter), "--settings", json.dumps(LORA)])
    assert "layers.1.attn.k_einsum has no LoRA factors" in capsys.readouterr().err
    assert not (tmp_path / "peft").exists()


def test_factors_are_written_whole(tmp_path: Path) -> None:
    write_peft(tmp_path, updates_of_adapter(tunix_modules(), 8.0), 4, 8.0)
    held = load_file(tmp_path / "adapter_model.safetensors")
    assert len(held) == 2 * 14
    assert all(np.isfinite(array).all() and array.dtype == np.float32 for array in held.values())
