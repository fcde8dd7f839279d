"""Where rows come from: a local JSON-lines file, or one file of a Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.common.errors import UserError
from scripts.common.files import read_jsonl


def locate(source: str, revision: str | None) -> Path:
    """The local file of `source`: a path, or `DATASET_ID:FILE`, fetched through the hub's cache (HF_HOME, HF_ENDPOINT).

    Raises UserError when there is neither.
    """
    if Path(source).is_file():
        return Path(source)
    dataset, separator, name = source.partition(":")
    if not separator:
        raise UserError(f"data.source: {source} is neither a file nor DATASET_ID:FILE")
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(huggingface_hub.hf_hub_download(dataset, name, repo_type="dataset", revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"data.source: cannot fetch {name} of the dataset {dataset} ({type(error).__name__}): check the network "
            "and HF_TOKEN, or set data.source to a downloaded file"
        ) from None


def read_rows(path: Path, max_rows: int | None) -> Iterator[tuple[str, str, str]]:
    """(id, prompt, response) of each row, at most `max_rows`. The id is the line number, for every message about it."""
    for number, row in enumerate(read_jsonl(path), start=1):
        if max_rows is not None and number > max_rows:
            return
        for field in ("prompt", "response"):
            if not isinstance(row.get(field), str):
                found = type(row[field]).__name__ if field in row else "nothing"
                raise UserError(f"{path}:{number}: expected text in {field!r}, found {found}")
        yield f"row{number}", row["prompt"], row["response"]
