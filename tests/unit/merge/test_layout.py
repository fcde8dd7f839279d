"""The merge's algebra: every module lands on its tensors, transposed and split as the checkpoint wants them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import UserError
from scripts.merge.layout import LoraFactors, LowRankUpdate, check_modules, expected_modules, updates_of_module

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, MLP = 12, 4, 2, 3, 20
LAYER = "model.language_model.layers.7."


def delta(update: LowRankUpdate) -> np.ndarray:
    return update.scale * (update.left @ update.right)


def factors(seed: int, a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> LoraFactors:
    rng = np.random.default_rng(seed)
    return LoraFactors(rng.standard_normal(a_shape, np.float32), rng.standard_normal(b_shape, np.float32))


# module, shapes of A and B for rank r, and an independent statement of what Tunix computes from x (hidden or heads).
CASES = {
    "attn.q_einsum": lambda r: ((HIDDEN, r), (r, HEADS, HEAD_DIM)),
    "attn.k_einsum": lambda r: ((HIDDEN, r), (r, KV_HEADS, HEAD_DIM)),
    "mlp.gate_proj": lambda r: ((HIDDEN, r), (r, MLP)),
    "mlp.up_proj": lambda r: ((HIDDEN, r), (r, MLP)),
    "mlp.down_proj": lambda r: ((MLP, r), (r, HIDDEN)),
}


@pytest.mark.parametrize("module", CASES)
@settings(deadline=None)  # a busy machine is no failure
@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5), alpha=st.floats(0.5, 64.0))
def test_one_projection_modules_compute_x_a_b(module: str, seed: int, rank: int, alpha: float) -> None:
    f = factors(seed, *CASES[module](rank))
    x = np.random.default_rng(seed + 1).standard_normal(f.a.shape[0], np.float32)
    ((name, update),) = updates_of_module(f"layers.7.{module}", f, alpha).items()
    expected = alpha / rank * np.tensordot(x @ f.a, f.b, axes=1).reshape(-1)
    np.testing.assert_allclose(delta(update) @ x, expected, rtol=1e-4, atol=1e-4)
    assert name.startswith(LAYER)


@settings(deadline=None)  # a busy machine is no failure
@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5))
def test_kv_einsum_feeds_k_and_v_from_one_a(seed: int, rank: int) -> None:
    f = factors(seed, (HIDDEN, rank), (rank, 2, KV_HEADS, HEAD_DIM))
    x = np.random.default_rng(seed + 1).standard_normal(HIDDEN, np.float32)
    updates = updates_of_module("layers.7.attn.kv_einsum", f, alpha=rank)
    both = np.einsum("d,dr,rckh->ckh", x, f.a, f.b)
    for part, projection in enumerate(("k_proj", "v_proj")):
        change = delta(updates[f"{LAYER}self_attn.{projection}.weight"])
        np.testing.assert_allclose(change @ x, both[part].reshape(-1), rtol=1e-4, atol=1e-4)


@settings(deadline=None)  # a busy machine is no failure
@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5))
def test_attn_vec_einsum_takes_heads_as_input(seed: int, rank: int) -> None:
    f = factors(seed, (HEADS, HEAD_DIM, rank), (rank, HIDDEN))
    heads = np.random.default_rng(seed + 1).standard_normal((HEADS, HEAD_DIM), np.float32)
    (update,) = updates_of_module("layers.7.attn.attn_vec_einsum", f, alpha=rank).values()
    expected = np.einsum("nh,nhr,rd->d", heads, f.a, f.b)
    np.testing.assert_allclose(delta(update) @ heads.reshape(-1), expected, rtol=1e-4, atol=1e-4)


def test_k_einsum_has_no_v_projection() -> None:
    f = factors(0, (HIDDEN, 2), (2, KV_HEADS, HEAD_DIM))
    assert set(updates_of_module("layers.7.attn.k_einsum", f, 2.0)) == {f"{LAYER}self_attn.k_proj.weight"}


@pytest.mark.parametrize(
    ("module", "a_shape", "b_shape"),
    [
        ("layers.0.attn.qkv_einsum", (4, 2), (2, 4)),
        ("embedder", (4, 2), (2, 4)),
        ("layers.0.attn.q_einsum", (4, 2), (3, 4)),
        ("layers.0.attn.kv_einsum", (4, 2), (2, 3, 1, 4)),
        ("layers.0.attn.attn_vec_einsum", (4, 2), (2, 4)),
    ],
)
def test_a_module_or_shape_without_a_place_is_named(
    module: str, a_shape: tuple[int, ...], b_shape: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match=module.replace(".", r"\.")):
        updates_of_module(module, factors(0, a_shape, b_shape), 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_factors_that_are_not_finite_are_refused(bad: float) -> None:
    f = factors(0, (HIDDEN, 2), (2, MLP))
    f.b[1, 3] = bad
    with pytest.raises(UserError, match=r"layers\.0\.mlp\.up_proj.*not finite"):
        updates_of_module("layers.0.mlp.up_proj", f, 1.0)


# Two sliding layers, then a global one, twice; the last `shared` layers use the keys and values of earlier ones.
def text_config(k_eq_v: bool, shared: int) -> dict[str, Any]:
    kinds = ["sliding_attention", "sliding_attention", "full_attention"] * 2
    return {
        "num_hidden_layers": 6, "layer_types": kinds, "attention_k_eq_v": k_eq_v, "num_kv_shared_layers": shared,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("k_eq_v", "shared", "targets", "kv_layers", "k_layers"),
    [
        (False, 0, "all", [0, 1, 2, 3, 4, 5], []),
        (True, 0, "all", [0, 1, 3, 4], [2, 5]),
        (True, 0, "published", [0, 1, 3, 4], []),
        (False, 3, "all", [0, 1, 2], []),
    ],
)
def test_each_layer_has_the_modules_of_its_kind(
    k_eq_v: bool, shared: int, targets: Any, kv_layers: list[int], k_layers: list[int]
) -> None:
    modules = expected_modules(text_config(k_eq_v, shared), targets)
    assert modules >= {
        f"layers.{i}.{kind}"
        for i in range(6)
        for kind in ("attn.q_einsum", "attn.attn_vec_einsum", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    }
    assert {m for m in modules if "kv_einsum" in m} == {f"layers.{i}.attn.kv_einsum" for i in kv_layers}
    assert {m for m in modules if "k_einsum" in m} == {f"layers.{i}.attn.k_einsum" for i in k_layers}
    assert len(modules) == 30 + len(kv_layers) + len(k_layers)


def test_a_module_too_few_or_too_many_is_named() -> None:
    expected = {"layers.0.mlp.up_proj", "layers.1.mlp.up_proj"}
    check_modules(expected, expected)
    with pytest.raises(UserError, match=r"layers\.1\.mlp\.up_proj has no LoRA factors"):
        check_modules({"layers.0.mlp.up_proj"}, expected)
    with pytest.raises(UserError, match=r"layers\.2\.mlp\.up_proj is no target"):
        check_modules({*expected, "layers.2.mlp.up_proj"}, expected)
