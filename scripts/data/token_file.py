"""The Parquet file of token rows that training reads; `read_token_rows` of scripts/common/token_rows.py reads it."""

from __future__ import annotations

from pathlib import Path

from scripts.common.token_rows import TokenRows


def write_tokens(path: Path, ids: list[str], rows: TokenRows) -> None:
    """One row a sample: id, input_ids (list of int32) and answer_start (int32). Written to a temporary name first."""
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "input_ids": pa.LargeListArray.from_arrays(pa.array(rows.offsets), pa.array(rows.tokens)),
            "answer_start": pa.array(rows.answer_starts),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    # Token ids hardly repeat as a column's values do: a dictionary of them costs time and saves little.
    pyarrow.parquet.write_table(table, partial, use_dictionary=False, compression="lz4")
    partial.replace(path)
