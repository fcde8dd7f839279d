"""Rows of tokens as the data stage writes them, and rows padded into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.errors import UserError


@dataclass(frozen=True)
class TokenRows:
    """Training rows as read from Parquet; the two lists run in parallel, row by row, each of shape (seq_len,)."""

    input_ids: list[np.ndarray]
    loss_mask: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.input_ids)


def read_token_rows(path: Path) -> TokenRows:
    """Rows of the Parquet that the data stage wrote. Raises UserError when it is missing or not of that form."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=["input_ids", "loss_mask"])
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise UserError(f"{path}: not the data stage's Parquet ({error})") from None
    columns = {
        name: [np.asarray(row, dtype=np.int32) for row in table[name].to_pylist()] for name in table.column_names
    }
    return TokenRows(columns["input_ids"], columns["loss_mask"])


def pad_rows(rows: TokenRows, indices: np.ndarray, seq_len: int) -> dict[str, np.ndarray]:
    """The rows at `indices`, padded on the right with token 0 to `seq_len`.

    Returns int32 arrays of shape (len(indices), seq_len): `tokens`, `loss_mask`, and `valid`, 1 on real tokens.
    """
    shape = (len(indices), seq_len)
    tokens, loss_mask, valid = (np.zeros(shape, np.int32) for _ in range(3))
    for position, index in enumerate(indices):
        length = len(rows.input_ids[index])
        tokens[position, :length] = rows.input_ids[index]
        loss_mask[position, :length] = rows.loss_mask[index]
        valid[position, :length] = 1
    return {"tokens": tokens, "loss_mask": loss_mask, "valid": valid}
