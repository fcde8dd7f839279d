"""The adapters of earlier checkpoints, published beside the last one."""

from pathlib import Path

from scripts.common.files import write_jsonl
from scripts.train.checkpoints import CheckpointStore
from scripts.train.earlier_adapters import publish_earlier


def test_each_kept_checkpoint_is_published_under_its_optimizer_step(tmp_path: Path) -> None:
    """Positions may count micro-batches: the step is that of the metrics."""
    store = CheckpointStore(tmp_path / "checkpoints", kept=2)
    for position, step in ((70, 10), (140, 20), (175, 25)):

        def fill(folder: Path, step: int = step) -> None:
            write_jsonl(folder / "metrics.jsonl", [{"step": number} for number in range(1, step + 1)])
            (folder / "params").mkdir()
            (folder / "params/factors").write_text(str(step))
            (folder / "optimizer").write_text("large")

        store.write(position, fill, 1)
    adapter = tmp_path / "adapter"
    (adapter / "params").mkdir(parents=True)
    assert publish_earlier(adapter, store.kept(), ["params"], last=25) == {"25": ".", "20": "step20"}
    assert (adapter / "step20/params/factors").read_text() == "20"
    assert {path.name for path in adapter.rglob("*")} == {"params", "step20", "factors"}
    assert publish_earlier(adapter, store.kept(), ["elsewhere"], last=25) == {"25": "."}
