"""Sizes of the published models: LoRA's parameters and a sample's FLOPs, against figures from elsewhere."""

import pytest

from scripts.common.errors import UserError
from scripts.common.gemma4_layers import gemma4_layers, lora_parameters, sample_forward_flops
from scripts.common.gemma4_shapes import gemma4_shapes
from tests.unit.common.published_gemma4 import published


def test_the_papers_lora_has_467_8_million_parameters() -> None:
    assert lora_parameters(published("31B"), 64, "published") == 467_763_200


def test_all_targets_add_k_on_the_ten_global_layers() -> None:
    more = lora_parameters(published("31B"), 64, "all") - lora_parameters(published("31B"), 64, "published")
    assert more == 10 * 64 * (5376 + 4 * 512)


def test_layers_that_share_keys_and_values_have_none_of_their_own() -> None:
    layers = gemma4_layers(published("E2B"))
    assert [("kv_einsum" in layer.matrices) for layer in layers] == [True] * 15 + [False] * 20
    assert {layer.matrices["up_proj"] for layer in layers[:15]} == {(1536, 6144)}
    assert {layer.matrices["up_proj"] for layer in layers[15:]} == {(1536, 12288)}


def test_a_token_meets_the_experts_that_it_is_routed_to() -> None:
    """26B-A4B's active parameters are 3.8 billion by its name's own count, the embedding among them."""
    text = published("26B-A4B")
    active = sum(layer.matrix_weights() for layer in gemma4_layers(text)) + text["vocab_size"] * text["hidden_size"]
    assert 3.6e9 < active < 4.0e9


@pytest.mark.parametrize("tokens", [100, 1024, 3000])
def test_flops_of_a_dense_model_are_the_plans(tokens: int) -> None:
    """The plan has a formula of its own, from totals; this one goes layer by layer."""
    plan = gemma4_shapes({"text_config": published("31B")})
    expected = plan.forward_flops(tokens, logits=tokens, skips_masked=True)
    assert sample_forward_flops(published("31B"), tokens) == pytest.approx(expected, rel=1e-12)


def test_a_missing_key_is_named() -> None:
    text = published("31B")
    del text["intermediate_size"]
    with pytest.raises(UserError, match="intermediate_size is missing"):
        gemma4_layers(text)
