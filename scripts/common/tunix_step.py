"""One training step of a Gemma 4 with LoRA in Tunix: what the training stage runs and the plan compiles.

A micro-batch has rows of `row_len` tokens; a row carries one sample or several, its documents. The loss is a weighted
sum over target tokens, so that the mean over a step's samples does not depend on how samples are laid into rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct
from tunix.models.gemma4 import model as gemma4

CrossEntropy = Literal["plain", "chunked"]
# What a jitted step may overwrite. Without the model each step would write the frozen weights out once more: a result
# of a jitted function shares the memory of no argument that was not donated.
DONATED_ARGUMENTS = ("model", "optimizer")
# Tokens of a row whose logits are alive at once with chunked cross-entropy: of 262,144 float32 values each, 0.5 GiB.
CHUNK_TOKENS = 512


@struct.dataclass
class Batch:
    """One micro-batch; arrays of shape (rows, row_len), as `batch_arrays` of scripts/common/token_rows.py makes them.

    `tokens`, `positions` and `documents` are int32: a document is one sample, numbered from 1 within its row, 0 on
    padding; positions restart with each. `loss_weights`, float32, is the weight of each token as a target: 1 / answer
    tokens of its sample / samples of the step, and 0 on what is not an answer.
    """

    tokens: Any
    positions: Any
    documents: Any
    loss_weights: Any


def document_mask(documents: jax.Array) -> jax.Array:
    """True where a query may see a key: at or before it, in the same document.

    `documents` has shape (rows, row_len), the mask (rows, row_len, row_len): queries, then keys.
    """
    row_len = documents.shape[1]
    causal = jnp.tril(jnp.ones((row_len, row_len), bool))
    return causal[None] & (documents[:, :, None] == documents[:, None, :])


def answer_loss(
    model: Any, tokens: jax.Array, positions: jax.Array, documents: jax.Array, loss_weights: jax.Array
) -> jax.Array:
    """Sum over target tokens of weight x negative log-likelihood, in nats. Arguments as in `Batch`."""
    logits, _ = model(tokens, positions, None, document_mask(documents))
    targets, weights = next_tokens(tokens, loss_weights)
    return weighted_nll(logits, targets, weights)


def next_tokens(tokens: jax.Array, loss_weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What each position predicts, and the weight of that; both (rows, row_len), the last column with weight 0. There
    may be several weights of each, in a leading dimension.

    Shifting the targets in place of slicing the logits spares a copy of the largest array of the step.
    """
    return jnp.roll(tokens, -1, axis=1), jnp.roll(loss_weights, -1, axis=-1).at[..., -1].set(0.0)


def weighted_nll(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum of weights x negative log-likelihood: logits (rows, n, vocabulary); targets and weights (rows, n). Weights of
    shape (k, rows, n) give k sums.

    The target's logit is picked by comparison, which XLA fuses into the sum. Picked by index, logits whose vocabulary
    is sharded would be gathered, and the gradient scattered into a second array of their size.
    """
    logits = logits.astype(jnp.float32)
    is_target = jnp.arange(logits.shape[-1]) == targets[..., None]
    target_logits = jnp.where(is_target, logits, 0.0).sum(axis=-1)
    return ((jax.nn.logsumexp(logits, axis=-1) - target_logits) * weights).sum(axis=(-2, -1))


def train_step(
    model: nnx.Module, optimizer: nnx.Optimizer, batch: Batch, loss: Callable[..., jax.Array] = answer_loss
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One micro-batch: loss, LoRA gradient, update by an optimizer of `lora_optimizer`.

    Returns what the training stage records: the loss; the negative log-likelihood of all tokens after the first of
    each sample, summed, in nats; the norm before clipping of the gradient of the last whole step, this one if the
    micro-batch ends it. `optimizer.step` counts micro-batches, and is saved with the optimizer.
    """
    number_dropout(model, optimizer.step[...])
    weights = jnp.stack([batch.loss_weights, sequence_weights(batch.positions, batch.documents)])

    def losses(model: nnx.Module) -> tuple[jax.Array, jax.Array]:
        sums = loss(model, batch.tokens, batch.positions, batch.documents, weights)
        return sums[0], sums[1]

    grad_fn = nnx.value_and_grad(losses, argnums=nnx.DiffState(0, nnx.LoRAParam), has_aux=True)
    (value, sequence_nll), grads = grad_fn(model)
    optimizer.update(model, grads)
    return value, sequence_nll, optimizer.opt_state.inner_opt_state[0].norm[...]


def sequence_weights(positions: jax.Array, documents: jax.Array) -> jax.Array:
    """1 for each token that another of its sample comes before, as a target; else 0: float32, (rows, row_len)."""
    return ((documents > 0) & (positions > 0)).astype(jnp.float32)


def number_dropout(model: nnx.Module, micro_batch: jax.Array) -> None:
    """Makes every dropout mask of `model` a function of its seed and of `micro_batch`, a number: a run that goes on
    from a checkpoint draws what an uninterrupted one does. Nothing to do for a model without dropout."""
    counts = nnx.state(model, nnx.RngCount)
    nnx.update(model, jax.tree.map(lambda count: jnp.full_like(count, micro_batch), counts))


def evaluator(model: nnx.Module, loss: Callable[..., jax.Array] = answer_loss) -> Callable[[Any, Batch], jax.Array]:
    """A jitted function of the state of `model` (`nnx.state`) and a micro-batch: the loss without dropout.

    It gives no state back: nothing of the model changes, the counters of its dropout neither, and no frozen weight is
    written out once more.
    """
    graph = nnx.graphdef(model)

    @jax.jit
    def evaluate(state: Any, batch: Batch) -> jax.Array:
        with _no_dropout():
            return loss(nnx.merge(graph, state), batch.tokens, batch.positions, batch.documents, batch.loss_weights)

    return evaluate


@contextlib.contextmanager
def _no_dropout() -> Iterator[None]:
    """Within it, in tracing, dropout gives back what it gets: Qwix makes a Dropout in every call, and always an active
    one, so that there is none in the model to switch off."""
    apply = nnx.Dropout.__call__
    nnx.Dropout.__call__ = lambda self, inputs, **_: inputs
    try:
        yield
    finally:
        nnx.Dropout.__call__ = apply


class GradientNorm(NamedTuple):
    """What `recording_gradient_norm` keeps: the norm of the last gradient, before clipping."""

    norm: Any


def recording_gradient_norm(max_norm: float | None) -> optax.GradientTransformation:
    """Clips gradients to the global norm `max_norm`, if there is one, and keeps the norm that they had."""

    def init(parameters: Any) -> GradientNorm:
        return GradientNorm(jnp.zeros((), jnp.float32))

    def update(gradients: Any, state: GradientNorm, parameters: Any = None) -> tuple[Any, GradientNorm]:
        norm = optax.global_norm(gradients).astype(jnp.float32)
        if max_norm is not None:
            scale = jnp.minimum(1.0, max_norm / jnp.maximum(norm, jnp.finfo(jnp.float32).tiny))
            gradients = jax.tree.map(lambda gradient: (gradient * scale).astype(gradient.dtype), gradients)
        return gradients, GradientNorm(norm)

    return optax.GradientTransformation(init, update)


def lora_optimizer(
    learning_rate: optax.ScalarOrSchedule,
    weight_decay: float,
    max_grad_norm: float | None,
    micro_batches_per_step: Any,
) -> optax.GradientTransformation:
    """AdamW, clipped if asked, on the summed gradients of each step's micro-batches."""
    adamw = optax.adamw(learning_rate, weight_decay=weight_decay)
    return accumulating(optax.chain(recording_gradient_norm(max_grad_norm), adamw), micro_batches_per_step)


def accumulating(optimizer: optax.GradientTransformation, micro_batches_per_step: Any) -> optax.GradientTransformation:
    """`optimizer` fed with the sum of the gradients of each step's micro-batches: as many in every step where
    `micro_batches_per_step` is a number, or each step's own where it has shape (steps,)."""
    counts = jnp.asarray(micro_batches_per_step, jnp.int32)
    every = (lambda step: counts) if counts.ndim == 0 else (lambda step: counts[step])
    return optax.MultiSteps(optimizer, every_k_schedule=every, use_grad_mean=False).gradient_transformation()


# ---- Cross-entropy in chunks: the same loss, without all logits alive at once.


def chunked_answer_loss(
    model: Any, tokens: jax.Array, positions: jax.Array, documents: jax.Array, loss_weights: jax.Array
) -> jax.Array:
    """`answer_loss` with the logits of CHUNK_TOKENS tokens a row at a time, made again in the backward pass.

    The chunks are unrolled, not a loop: XLA's cost analysis counts the body of a loop once.
    """
    softcap = model.config.final_logit_softcap
    with _hidden_states_as_logits(model.config):
        hidden, _ = model(tokens, positions, None, document_mask(documents))
    targets, weights = next_tokens(tokens, loss_weights)
    embedding = model.embedder.input_embedding[...]
    chunk_loss = jax.checkpoint(_chunk_loss, static_argnums=(4, 5))
    total = jnp.zeros(weights.shape[:-2], jnp.float32)
    for start in range(0, tokens.shape[1], CHUNK_TOKENS):
        part = slice(start, start + CHUNK_TOKENS)
        logits_of = (embedding, model.config.dtype, softcap)
        total += chunk_loss(hidden[:, part], targets[:, part], weights[..., part], *logits_of)
    return total


@contextlib.contextmanager
def _hidden_states_as_logits(config: gemma4.ModelConfig) -> Iterator[None]:
    """Within it Tunix's model returns the normalised output of its last layer, (rows, row_len, width), float32.

    The model has to be called as a whole: Qwix applies LoRA inside the model's own call and nowhere else.
    """
    decode, softcap = gemma4.Embedder.decode, config.final_logit_softcap
    gemma4.Embedder.decode = lambda self, x: x
    config.final_logit_softcap = None
    try:
        yield
    finally:
        gemma4.Embedder.decode = decode
        config.final_logit_softcap = softcap


def _chunk_loss(
    hidden: jax.Array, targets: jax.Array, weights: jax.Array, embedding: jax.Array, dtype: Any, softcap: float | None
) -> jax.Array:
    """Tied logits, softcap and loss of one chunk, as Tunix's model ends; hidden is (rows, chunk, width)."""
    logits = jnp.dot(hidden.astype(dtype), embedding.astype(dtype).T).astype(jnp.float32)
    if softcap is not None:
        logits = jnp.tanh(logits / softcap) * softcap
    return weighted_nll(logits, targets, weights)


LOSSES: dict[CrossEntropy, Callable[..., jax.Array]] = {"plain": answer_loss, "chunked": chunked_answer_loss}
