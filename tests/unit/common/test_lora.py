"""Which modules each LoRA target set names."""

import re

import pytest

from scripts.common.lora import LoraSettings, hf_target_pattern, tunix_target_pattern

SLIDING = ["q_einsum", "kv_einsum", "attn_vec_einsum"]
GLOBAL = ["q_einsum", "k_einsum", "attn_vec_einsum"]


@pytest.mark.parametrize("module", SLIDING)
def test_the_published_pattern_covers_sliding_layers(module: str) -> None:
    assert re.fullmatch(tunix_target_pattern("published"), f"layers/0/attn/{module}")


def test_the_published_pattern_misses_k_on_global_layers() -> None:
    assert not re.fullmatch(tunix_target_pattern("published"), "layers/5/attn/k_einsum")
    assert re.fullmatch(tunix_target_pattern("all"), "layers/5/attn/k_einsum")


@pytest.mark.parametrize("projection", ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
def test_the_transformers_pattern_leaves_the_vision_tower_alone(projection: str) -> None:
    assert re.fullmatch(hf_target_pattern(), f"model.language_model.layers.0.self_attn.{projection}")
    assert not re.fullmatch(hf_target_pattern(), f"model.vision_tower.layers.0.self_attn.{projection}")


@pytest.mark.parametrize(("rank", "dropout"), [(0, 0.0), (8, 1.0), (8, -0.1)])
def test_impossible_settings_are_refused(rank: int, dropout: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        LoraSettings(rank=rank, alpha=8.0, dropout=dropout, targets="all")
