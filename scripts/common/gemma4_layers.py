"""The matrices of every layer of a Gemma 4 of any family, from its config.json, and what follows from their sizes: the
parameters of LoRA and the FLOPs of a sample. Without a framework."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scripts.common.errors import UserError
from scripts.common.gemma4_shapes import global_attention
from scripts.common.lora import LoraTargets, tunix_target_pattern

# (inputs, outputs) of a matrix.
Matrix = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One decoder layer. `matrices` have the names of Tunix's modules; a token passes each once. `expert_matrices` are
    those of the experts that one token is routed to, and of the router."""

    is_global: bool
    query_heads: int
    head_dim: int
    matrices: dict[str, Matrix]
    expert_matrices: tuple[Matrix, ...]

    def matrix_weights(self) -> int:
        """Weights that one token is multiplied with."""
        return sum(rows * columns for rows, columns in (*self.matrices.values(), *self.expert_matrices))


def gemma4_layers(hf_config: dict[str, Any]) -> list[Layer]:
    """The layers of the model that a Hugging Face config.json describes. Raises UserError when a key is missing."""
    text = hf_config.get("text_config", hf_config)
    try:
        first_shared = len(text["layer_types"]) - (text.get("num_kv_shared_layers") or 0)
        return [
            _layer(text, is_global=kind == "full_attention", shares_kv=index >= first_shared)
            for index, kind in enumerate(text["layer_types"])
        ]
    except KeyError as error:
        raise UserError(f"config.json: {error.args[0]} is missing") from None


def _layer(text: dict[str, Any], *, is_global: bool, shares_kv: bool) -> Layer:
    width, query_heads = text["hidden_size"], text["num_attention_heads"]
    head_dim, kv_heads = text["head_dim"], text["num_key_value_heads"]
    if is_global:
        head_dim, kv_heads = global_attention(text)
    mlp_width = text["intermediate_size"] * (2 if shares_kv and text.get("use_double_wide_mlp") else 1)
    matrices = {
        "q_einsum": (width, query_heads * head_dim),
        "attn_vec_einsum": (query_heads * head_dim, width),
        "gate_proj": (width, mlp_width),
        "up_proj": (width, mlp_width),
        "down_proj": (mlp_width, width),
    }
    if not shares_kv:
        k_is_v = is_global and text["attention_k_eq_v"]
        matrices["k_einsum" if k_is_v else "kv_einsum"] = (width, (1 if k_is_v else 2) * kv_heads * head_dim)
    if per_layer := text.get("hidden_size_per_layer_input"):
        # The projection of the embedding to this layer's input is one matrix for all layers; this is its share.
        matrices["per_layer_model_projection"] = (width, per_layer)
        matrices["per_layer_input_gate"] = (width, per_layer)
        matrices["per_layer_projection"] = (per_layer, width)
    experts: list[Matrix] = []
    if text.get("enable_moe_block"):
        expert_width = text["moe_intermediate_size"]
        experts = [(width, text["num_experts"])]
        experts += text["top_k_experts"] * [(width, 2 * expert_width), (expert_width, width)]
    return Layer(is_global, query_heads, head_dim, matrices, tuple(experts))


def lora_parameters(hf_config: dict[str, Any], rank: int, targets: LoraTargets) -> int:
    """Parameters that LoRA adds in Tunix: rank x (inputs + outputs) of each target, K and V having one A together."""
    pattern = re.compile(tunix_target_pattern(targets))
    return sum(
        rank * sum(matrix)
        for layer in gemma4_layers(hf_config)
        for name, matrix in layer.matrices.items()
        if pattern.fullmatch(name)
    )


def sample_forward_flops(hf_config: dict[str, Any], tokens: int) -> float:
    """FLOPs of the forward pass of one sample of `tokens` tokens: 2 a weight and token, for the matrices, the experts
    that a token is routed to and the logits of every token; 4 x heads x dim for each pair of query and key that the
    causal and the sliding mask leave. Norms, softmax, activations and LoRA's own factors are left out.
    """
    text = hf_config.get("text_config", hf_config)
    layers = gemma4_layers(hf_config)
    weights = sum(layer.matrix_weights() for layer in layers) + text["vocab_size"] * text["hidden_size"]
    window = min(tokens, text["sliding_window"])
    sliding_pairs = window * (window + 1) // 2 + (tokens - window) * window
    global_pairs = tokens * (tokens + 1) // 2
    attention = sum(
        4 * layer.query_heads * layer.head_dim * (global_pairs if layer.is_global else sliding_pairs)
        for layer in layers
    )
    return float(2 * weights * tokens + attention)
