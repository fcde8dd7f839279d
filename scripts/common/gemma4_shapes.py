"""Gemma 4's sizes from its config.json, without a framework, and what follows from them: parameters and FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.common.errors import UserError


@dataclass(frozen=True)
class Gemma4Shapes:
    """A dense Gemma 4. Sliding-window layers and global layers differ in heads; embeddings are tied."""

    sliding_layers: int
    global_layers: int
    width: int
    mlp_width: int
    query_heads: int
    kv_heads: int
    head_dim: int
    global_kv_heads: int
    global_head_dim: int
    k_eq_v_global: bool
    vocabulary: int
    sliding_window: int

    @property
    def layers(self) -> int:
        return self.sliding_layers + self.global_layers

    def layer_matrix_parameters(self, is_global: bool) -> int:
        """Weights of one layer's matrices: query, key and value, output, MLP."""
        heads, dim = (self.global_kv_heads, self.global_head_dim) if is_global else (self.kv_heads, self.head_dim)
        key_and_value = (1 if is_global and self.k_eq_v_global else 2) * self.width * heads * dim
        return 2 * self.width * self.query_heads * dim + key_and_value + 3 * self.width * self.mlp_width

    def matrix_parameters(self) -> int:
        """Weights of all layers' matrices, which every token passes once; the embedding is not among them."""
        return self.sliding_layers * self.layer_matrix_parameters(False) + (
            self.global_layers * self.layer_matrix_parameters(True)
        )

    def parameters(self) -> int:
        """All weights: matrices, tied embedding, four norms and a scale a layer, two norms of heads, the last norm."""
        norms = self.layers * (4 * self.width + 1) + self.width
        head_norms = 2 * (self.sliding_layers * self.head_dim + self.global_layers * self.global_head_dim)
        return self.matrix_parameters() + self.vocabulary * self.width + norms + head_norms

    def attention_flops(self, row_len: int, *, skips_masked: bool) -> float:
        """FLOPs of scores and of weighted values of one row, forward: 2 x 2 x heads x dim for each query and key.

        `skips_masked` counts the pairs that the causal and the sliding mask leave, else every pair of the row.
        """
        pairs = (row_len**2, row_len**2)
        if skips_masked:
            window = min(row_len, self.sliding_window)
            pairs = (window * (window + 1) // 2 + (row_len - window) * window, row_len * (row_len + 1) // 2)
        per_pair = 4 * self.query_heads
        return per_pair * (
            self.sliding_layers * self.head_dim * pairs[0] + self.global_layers * self.global_head_dim * pairs[1]
        )

    def forward_flops(self, row_len: int, *, logits: int, skips_masked: bool) -> float:
        """FLOPs of one row's forward pass, with logits for `logits` of its tokens: 2 a weight and token, attention."""
        matrices = 2 * self.matrix_parameters() * row_len + 2 * self.vocabulary * self.width * logits
        return matrices + self.attention_flops(row_len, skips_masked=skips_masked)


def gemma4_shapes(hf_config: dict[str, Any]) -> Gemma4Shapes:
    """The sizes that a Hugging Face config.json states. Raises UserError for a model that Tunix lacks."""
    text = hf_config.get("text_config", hf_config)
    if text.get("model_type") != "gemma4_text":
        raise UserError(f"config.json: model_type {text.get('model_type')!r} is not Gemma 4 (gemma4_text)")
    if text.get("enable_moe_block"):
        raise UserError("config.json: enable_moe_block is set; mixture-of-experts models are not supported yet")
    if text.get("num_kv_shared_layers") or text.get("hidden_size_per_layer_input"):
        raise UserError(
            "config.json: num_kv_shared_layers or hidden_size_per_layer_input is set; the plan knows neither"
        )
    global_head_dim, global_kv_heads = global_attention(text)
    try:
        kinds = text["layer_types"]
        return Gemma4Shapes(
            sliding_layers=kinds.count("sliding_attention"),
            global_layers=kinds.count("full_attention"),
            width=text["hidden_size"],
            mlp_width=text["intermediate_size"],
            query_heads=text["num_attention_heads"],
            kv_heads=text["num_key_value_heads"],
            head_dim=text["head_dim"],
            global_kv_heads=global_kv_heads,
            global_head_dim=global_head_dim,
            k_eq_v_global=text["attention_k_eq_v"],
            vocabulary=text["vocab_size"],
            sliding_window=text["sliding_window"],
        )
    except KeyError as error:
        raise UserError(f"config.json: {error.args[0]} is missing") from None


def global_attention(text: dict[str, Any]) -> tuple[int, int]:
    """(head dimension, KV heads) of the full-attention layers.

    Published checkpoints name them in `global_head_dim` and `num_global_key_value_heads`; transformers 5.19 writes
    them as exceptions by layer, `per_layer_config`. Raises UserError when the global layers differ among themselves.
    """
    if "global_head_dim" in text:
        return text["global_head_dim"], text.get("num_global_key_value_heads") or text["num_key_value_heads"]
    # A layer's number has leading zeros where there are ten layers or more.
    exceptions = {int(number): layer for number, layer in (text.get("per_layer_config") or {}).items()}
    shapes = {
        (layer.get("head_dim", text["head_dim"]), layer.get("num_key_value_heads", text["num_key_value_heads"]))
        for layer in (exceptions.get(i, {}) for i, kind in enumerate(text["layer_types"]) if kind == "full_attention")
    }
    if len(shapes) != 1:
        raise UserError(f"config.json: per_layer_config gives full-attention layers {len(shapes)} shapes, expected one")
    return shapes.pop()
