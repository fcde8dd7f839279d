"""The TRL arm's loss is the Tunix arm's, and its batches hold the rows in the order given."""

import math

import numpy as np
import pytest
import torch

from scripts.common.lora import LoraSettings
from scripts.common.token_rows import TokenRows
from scripts.train.trl_trainer import answer_loss, padded_tensors, peft_config


def test_the_loss_is_a_mean_per_sample_then_over_samples() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 5, 7)).astype(np.float32)
    tokens = rng.integers(0, 7, (2, 5))
    mask = np.array([[0, 0, 1, 1, 1], [0, 0, 0, 1, 0]])
    expected = []
    for row in range(2):
        nll = [
            math.log(np.exp(logits[row, i - 1]).sum()) - logits[row, i - 1, tokens[row, i]]
            for i in np.flatnonzero(mask[row])
        ]
        expected.append(np.mean(nll))
    loss = answer_loss(torch.from_numpy(logits), torch.from_numpy(tokens), torch.from_numpy(mask))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_batches_hold_the_named_rows() -> None:
    rows = TokenRows([np.full(3, i, np.int32) for i in range(4)], [np.array([0, 1, 1])] * 4)
    batch = padded_tensors(rows, [{"row": 2}, {"row": 0}], seq_len=6)
    assert batch["tokens"][:, 0].tolist() == [2, 0]
    assert batch["valid"].sum().item() == 6


def test_peft_scales_by_alpha_over_rank_like_qwix() -> None:
    config = peft_config(LoraSettings(rank=16, alpha=32.0, dropout=0.05, targets="all"))
    assert (config.r, config.lora_alpha, config.lora_dropout, config.use_rslora) == (16, 32.0, 0.05, False)
