"""The merge's algebra: every module lands on its tensors, transposed and split as the checkpoint wants them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import UserError
from scripts.merge.layout import LoraFactors, apply_update, check_updates, updates_of_module

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, MLP = 12, 4, 2, 3, 20
LAYER = "model.language_model.layers.7."


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
@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5), alpha=st.floats(0.5, 64.0))
def test_one_projection_modules_compute_x_a_b(module: str, seed: int, rank: int, alpha: float) -> None:
    f = factors(seed, *CASES[module](rank))
    x = np.random.default_rng(seed + 1).standard_normal(f.a.shape[0], np.float32)
    ((name, update),) = updates_of_module(f"layers.7.{module}", f, alpha).items()
    expected = alpha / rank * np.tensordot(x @ f.a, f.b, axes=1).reshape(-1)
    np.testing.assert_allclose(update.delta() @ x, expected, rtol=1e-4, atol=1e-4)
    assert name.startswith(LAYER)


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5))
def test_kv_einsum_feeds_k_and_v_from_one_a(seed: int, rank: int) -> None:
    f = factors(seed, (HIDDEN, rank), (rank, 2, KV_HEADS, HEAD_DIM))
    x = np.random.default_rng(seed + 1).standard_normal(HIDDEN, np.float32)
    updates = updates_of_module("layers.7.attn.kv_einsum", f, alpha=rank)
    both = np.einsum("d,dr,rckh->ckh", x, f.a, f.b)
    for part, projection in enumerate(("k_proj", "v_proj")):
        delta = updates[f"{LAYER}self_attn.{projection}.weight"].delta()
        np.testing.assert_allclose(delta @ x, both[part].reshape(-1), rtol=1e-4, atol=1e-4)


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5))
def test_attn_vec_einsum_takes_heads_as_input(seed: int, rank: int) -> None:
    f = factors(seed, (HEADS, HEAD_DIM, rank), (rank, HIDDEN))
    heads = np.random.default_rng(seed + 1).standard_normal((HEADS, HEAD_DIM), np.float32)
    (update,) = updates_of_module("layers.7.attn.attn_vec_einsum", f, alpha=rank).values()
    expected = np.einsum("nh,nhr,rd->d", heads, f.a, f.b)
    np.testing.assert_allclose(update.delta() @ heads.reshape(-1), expected, rtol=1e-4, atol=1e-4)


def test_k_einsum_has_no_v_projection() -> None:
    f = factors(0, (HIDDEN, 2), (2, KV_HEADS, HEAD_DIM))
    assert set(updates_of_module("layers.7.attn.k_einsum", f, 2.0)) == {f"{LAYER}self_attn.k_proj.weight"}


@given(seed=st.integers(0, 10_000))
def test_merging_zero_is_the_identity_and_merging_is_undone_by_subtracting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((MLP, HIDDEN), np.float32)
    f = factors(seed, (HIDDEN, 2), (2, MLP))
    zero = LoraFactors(f.a, np.zeros_like(f.b))
    minus = LoraFactors(f.a, -f.b)
    (update,) = updates_of_module("layers.0.mlp.up_proj", f, 4.0).values()
    (nothing,) = updates_of_module("layers.0.mlp.up_proj", zero, 4.0).values()
    (back,) = updates_of_module("layers.0.mlp.up_proj", minus, 4.0).values()
    np.testing.assert_array_equal(apply_update(weight, nothing), weight)
    np.testing.assert_allclose(apply_update(apply_update(weight, update), back), weight, atol=1e-4)


def test_the_sum_is_rounded_once_to_the_weights_type() -> None:
    f = LoraFactors(np.full((1, 1), 0.5, np.float32), np.full((1, 1), 2.0**-12, np.float32))
    (update,) = updates_of_module("layers.0.mlp.up_proj", f, 1.0).values()
    weight = np.full((1, 1), 1.0 + 2.0**-10, np.float16)
    merged = apply_update(weight, update)
    assert merged.dtype == np.float16
    assert merged[0, 0] == np.float16(np.float32(weight[0, 0]) + np.float32(2.0**-13))


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


def test_an_update_without_its_tensor_is_refused_before_anything_is_written() -> None:
    updates = updates_of_module("layers.7.mlp.up_proj", factors(0, (HIDDEN, 2), (2, MLP)), 1.0)
    name = f"{LAYER}mlp.up_proj.weight"
    check_updates(updates, {name: (MLP, HIDDEN)})
    with pytest.raises(UserError, match="does not have"):
        check_updates(updates, {})
    with pytest.raises(UserError, match="has shape"):
        check_updates(updates, {name: (HIDDEN, MLP)})
