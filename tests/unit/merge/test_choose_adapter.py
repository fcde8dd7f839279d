"""Which step's adapter is merged."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from scripts.common.files import read_manifest, write_manifest
from scripts.merge.choose_adapter import main


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The adapters of three steps, as training leaves them."""
    steps = {"100": "step100", "200": "step200", "230": "."}
    for step, folder in steps.items():
        (tmp_path / "adapter" / folder / "model_params").mkdir(parents=True)
        (tmp_path / "adapter" / folder / "model_params/factors").write_text(step)
    manifest = {"format": "orbax", "lora": {"rank": 4}, "base_source": "small", "step": 230, "steps": steps}
    return write_manifest(tmp_path / "adapter", manifest)


def chosen(adapter: Path, step: Any, losses: dict[int, float | None]) -> tuple[int, str]:
    """The step that the manifest of the choice states, and the content that it has."""
    folder = adapter.parent.parent
    # As training writes it: a loss may be NaN.
    rows = [json.dumps({"step": at, "held_out_loss": loss}) + "\n" for at, loss in losses.items()]
    (folder / "metrics.jsonl").write_text("".join(rows))
    output = folder / "chosen/manifest.json"
    files = ["--adapter", str(adapter), "--metrics", str(folder / "metrics.jsonl"), "--output", str(output)]
    main(["--settings", json.dumps({"step": step}), *files])
    (content,) = output.parent.glob("**/factors")
    return read_manifest(output, verify_hashes=True)["step"], content.read_text()


@pytest.mark.parametrize(
    ("step", "expected"),
    [("newest", 230), (100, 100), ("best", 200)],
)
def test_the_newest_a_number_or_the_best(published: Path, step: Any, expected: int) -> None:
    losses = {1: 0.1, 100: 2.0, 200: 1.0, 230: 1.5}  # step 1 was better, and was not kept
    assert chosen(published, step, losses) == (expected, str(expected))


def test_steps_without_a_held_out_loss_cannot_be_the_best(published: Path) -> None:
    assert chosen(published, "best", {100: None, 200: 3.0, 230: None})[0] == 200


def test_a_step_after_which_the_loss_is_no_number_is_not_the_best(published: Path) -> None:
    assert chosen(published, "best", {100: math.nan, 200: 3.0, 230: math.inf})[0] == 200


def test_a_number_that_was_not_kept_is_refused(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen(published, 150, {})
    assert "found 150, training published the adapters of steps 100, 200, 230" in capsys.readouterr().err


def test_the_best_needs_a_held_out_loss(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chosen(published, "best", {100: None, 200: None})
    assert "no held-out loss" in capsys.readouterr().err


def test_one_adapter_alone_is_the_newest(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/factors").write_text("7")
    manifest = write_manifest(tmp_path / "adapter", {"format": "peft", "step": 7})
    assert chosen(manifest, "newest", {}) == (7, "7")


def test_a_damaged_adapter_is_named(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (published.parent / "step200/model_params/factors").write_text("2x0")
    with pytest.raises(SystemExit):
        chosen(published, "newest", {})
    assert "step200/model_params/factors" in capsys.readouterr().err
