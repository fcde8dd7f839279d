"""The train step of the JAX arm: the function that training runs, the plan compiles and the benchmarks time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct


@struct.dataclass(frozen=True)
class Batch:
    """One micro-batch as arrays of shape (rows, row_len); `batch_arrays` of scripts/common/token_rows.py says what
    each holds."""

    tokens: Any
    positions: Any
    documents: Any
    loss_weights: Any


def document_mask(documents: jax.Array) -> jax.Array:
    """Causal attention within each document of a row: bool of shape (rows, row_len, row_len), True where a query
    (second axis) may see a key (third axis). Padding, document 0, sees padding only."""
    causal = jnp.tril(jnp.ones((documents.shape[1],) * 2, bool))
    return causal[None] & (documents[:, :, None] == documents[:, None, :])


def answer_loss(
    model: nnx.Module, tokens: jax.Array, positions: jax.Array, documents: jax.Array, loss_weights: jax.Array
) -> jax.Array:
    """Weighted negative log-likelihood of the micro-batch's answers, in nats; a step's micro-batches add up to the mean
    over its samples of the mean over each answer. All arguments have shape (rows, row_len)."""
    logits, _ = model(tokens, positions, None, document_mask(documents))
    nll = optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1].astype(jnp.float32), tokens[:, 1:])
    return (nll * loss_weights[:, 1:]).sum()


def accumulating(optimizer: optax.GradientTransformation, micro_batches_per_step: Any) -> optax.GradientTransformation:
    """`optimizer` fed with the sum of the gradients of each step's micro-batches, of which there may be more in one
    step than in another: `micro_batches_per_step` has shape (steps,)."""
    counts = jnp.asarray(micro_batches_per_step, jnp.int32)
    return optax.MultiSteps(
        optimizer, every_k_schedule=lambda step: counts[step], use_grad_mean=False
    ).gradient_transformation()


def train_step(model: nnx.Module, optimizer: nnx.Optimizer, batch: Batch) -> tuple[jax.Array, None, jax.Array]:
    """Takes in one micro-batch; with a step's last one, updates the LoRA parameters of `model` in place.

    Returns the micro-batch's loss, nothing (Tunix's place for auxiliary values), and the norm of its gradient.
    """
    grad_fn = nnx.value_and_grad(answer_loss, argnums=nnx.DiffState(0, nnx.LoRAParam))
    loss, gradients = grad_fn(model, batch.tokens, batch.positions, batch.documents, batch.loss_weights)
    optimizer.update(model, gradients)
    return loss, None, optax.global_norm(gradients)
