"""The TRL arm's loss is the Tunix arm's, and its batches hold the rows in the order given."""

import numpy as np
import pytest
import torch

from scripts.common.lora import LoraSettings
from scripts.common.token_rows import TokenRows
from scripts.train.trl_trainer import answer_loss, padded_tensors, peft_config
from tests.unit.train.example_loss import LOGITS, MASK, TOKENS, expected_loss


def test_the_loss_is_a_mean_per_sample_then_over_samples() -> None:
    loss = answer_loss(torch.from_numpy(LOGITS), torch.from_numpy(TOKENS), torch.from_numpy(MASK))
    assert loss.item() == pytest.approx(expected_loss(), rel=1e-5)


def test_batches_hold_the_named_rows() -> None:
    rows = TokenRows([np.full(3, i, np.int32) for i in range(4)], [np.array([0, 1, 1])] * 4)
    batch = padded_tensors(rows, [{"row": 2}, {"row": 0}], seq_len=6)
    assert batch["tokens"][:, 0].tolist() == [2, 0]
    assert batch["valid"].sum().item() == 6


def test_peft_scales_by_alpha_over_rank_like_qwix() -> None:
    config = peft_config(LoraSettings(rank=16, alpha=32.0, dropout=0.05, targets="all"))
    assert (config.r, config.lora_alpha, config.lora_dropout, config.use_rslora) == (16, 32.0, 0.05, False)
