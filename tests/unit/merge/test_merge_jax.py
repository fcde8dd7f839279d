"""The streaming merge: what it writes is the sum rounded once, what it does not touch keeps its bytes, and whatever
happens on the way, no folder loads as a model that is not the merged one."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from scripts.common.files import read_manifest
from scripts.merge import stream
from scripts.merge.layout import LowRankUpdate
from scripts.merge.merge import main
from scripts.merge.stream import merge_block
from tests.unit.buckets import gs_bucket, s3_bucket
from tests.unit.merge.small_models import (
    peft_factors,
    weights,
    write_base,
    write_peft_adapter,
)
from tests.unit.merge.streamed_merge import SETTINGS, UP, assert_merged, error_of, merge, stored, write_old_model


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shard_size_gb", [5.0, 3e-6, 1e-9])
def test_the_merged_model_is_the_sum_rounded_once(
    tmp_path: Path, adapter: Path, dtype: Any, shard_size_gb: float
) -> None:
    base = write_base(tmp_path / "base", weights(dtype), shards=2)
    merge(base, adapter, tmp_path / "out/manifest.json", shard_size_gb=shard_size_gb)
    assert_merged(stored(tmp_path / "out"), weights(dtype), peft_factors())
    assert read_manifest(tmp_path / "out/manifest.json", verify_hashes=True)["adapter"]["step"] == 7


def test_shards_have_the_size_asked_for_and_larger_tensors_one_of_their_own(base: Path, adapter: Path) -> None:
    out = base.parent.parent / "out"
    merge(base, adapter, out, shard_size_gb=3e-6)
    files = sorted(out.glob("*.safetensors"))
    assert len(files) > 3
    assert [file.name for file in files] == [
        f"model-{n:05d}-of-{len(files):05d}.safetensors" for n in range(1, len(files) + 1)
    ]
    for file in files:
        with safe_open(file, framework="flax") as handle:
            sizes = [handle.get_tensor(name).nbytes for name in handle.keys()]  # noqa: SIM118
        assert sum(sizes) <= 3000 or len(sizes) == 1
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in weights().values())
    assert set(index["weight_map"]) == set(weights())


def test_tensors_without_an_adapter_keep_their_bytes(base: Path, tmp_path: Path) -> None:
    only_up = {key: value for key, value in peft_factors().items() if "layers.1.mlp.up_proj" in key}
    merge(base, write_peft_adapter(tmp_path / "few", only_up), tmp_path / "out")
    before, after = weights(), stored(tmp_path / "out")

    def digest(array: np.ndarray) -> str:
        return hashlib.sha256(array.tobytes()).hexdigest()

    assert {name for name in before if digest(before[name]) != digest(after[name])} == {UP}


def test_configuration_and_tokenizer_come_along_but_no_other_weights(base: Path, adapter: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "consolidated.safetensors", "adapter_config.json", "model.gguf"):
        (base.parent / name).write_text("old weights")
    merge(base, adapter, tmp_path / "out")
    rest = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".safetensors"}
    assert rest == {"config.json", "tokenizer.json", "manifest.json"}
    assert (tmp_path / "out/config.json").read_bytes() == (base.parent / "config.json").read_bytes()


def test_a_base_made_of_links_as_in_a_download_cache(base: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    for path in base.parent.iterdir():
        if path.name != "manifest.json":
            (tmp_path / "links" / path.name).symlink_to(path)
    merge(tmp_path / "links", adapter, tmp_path / "out")
    assert_merged(stored(tmp_path / "out"), weights(), peft_factors())


# ---- Laws


@settings(deadline=None)  # a busy machine is no failure
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 9),
    dtype=st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16]),
)
def test_merging_zero_is_the_identity_and_subtracting_undoes_merging(seed: int, rows: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, 11), np.float32).astype(dtype)
    left, right = rng.standard_normal((rows, 3), np.float32), rng.standard_normal((3, 11), np.float32)

    def merged(array: np.ndarray, factor: float) -> np.ndarray:
        update = LowRankUpdate(left=factor * left, right=right, scale=0.5)
        return merge_block(array, update, slice(0, rows), np.empty(array.shape, np.float32))

    assert merged(weight, 0.0).tobytes() == weight.tobytes() or (weight == 0).any()
    there = merged(weight, 1.0)
    back = merged(there, -1.0).astype(np.float64)
    # Each of the two roundings errs by half a step at most, of the larger of the values rounded.
    largest = np.maximum(np.abs(there.astype(np.float64)), np.abs(weight.astype(np.float64)))
    assert (np.abs(back - weight.astype(np.float64)) <= largest * float(ml_dtypes.finfo(dtype).eps) * 2 + 1e-6).all()


def test_the_sum_is_rounded_once() -> None:
    """Rounding the update to float16 before adding it, or after each factor, gives another value here."""
    weight = np.full((1, 1), 1.0 + 2.0**-10, np.float16)
    update = LowRankUpdate(np.full((1, 1), 2.0**-11 + 2.0**-23, np.float32), np.ones((1, 1), np.float32), 1.0)
    merged = merge_block(weight, update, slice(0, 1), np.empty((1, 1), np.float32))
    assert merged.dtype == np.float16
    assert merged[0, 0] == np.float16(1.0 + 2.0**-9)


# ---- Killed halfway


@pytest.fixture
def dies_at_third_shard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Merging ends abruptly after two shards; the list gets the names of the shards that are begun."""
    begun: list[str] = []
    write_shard = stream.write_shard

    def dying(base: Any, target: Any, shard: Any, *rest: Any) -> Any:
        begun.append(shard.name)
        if len(begun) == 3:
            with target.writing(shard.name) as file:
                file.write(shard.header)
                raise RuntimeError("killed")
        return write_shard(base, target, shard, *rest)

    monkeypatch.setattr(stream, "write_shard", dying)
    return begun


def interrupted(base: Path, adapter: Path, out: Path | str) -> None:
    settings = json.dumps({**SETTINGS, "shard_size_gb": 3e-6})
    with pytest.raises(RuntimeError, match="killed"):
        main(
            [
                "--settings",
                settings,
                "--base-model",
                str(base),
                "--adapter",
                str(adapter),
                "--output",
                str(out),
                "--jobs",
                "1",
            ]
        )


def test_a_killed_merge_leaves_no_model_and_goes_on(
    base: Path, adapter: Path, tmp_path: Path, dies_at_third_shard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write_old_model(tmp_path / "out")
    interrupted(base, adapter, out)
    assert not {"config.json", "manifest.json", "model.safetensors.index.json"} & {path.name for path in out.iterdir()}
    first_two = dies_at_third_shard[:2]
    monkeypatch.undo()
    times = {name: (out / name).stat().st_mtime_ns for name in first_two}
    merge(base, adapter, out, shard_size_gb=3e-6)
    merge(base, adapter, tmp_path / "whole", shard_size_gb=3e-6)
    assert {name: (out / name).stat().st_mtime_ns for name in first_two} == times
    assert read_manifest(out / "manifest.json", verify_hashes=True) == read_manifest(tmp_path / "whole/manifest.json")
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_another_adapter_takes_up_nothing_of_a_killed_merge(
    base: Path, adapter: Path, tmp_path: Path, dies_at_third_shard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(base, adapter, tmp_path / "out")
    monkeypatch.undo()
    other = write_peft_adapter(tmp_path / "other", peft_factors(seed=2))
    merge(base, other, tmp_path / "out", shard_size_gb=3e-6)
    assert_merged(stored(tmp_path / "out"), weights(), peft_factors(seed=2))


SLOW_MERGE = """
import sys, time
from scripts.merge import merge, stream

copy_bytes = stream.copy_bytes

def slow(*args):
    copy_bytes(*args)
    print("copied", flush=True)
    time.sleep(60)

stream.copy_bytes = slow
merge.main(sys.argv[1:])
"""


def weights_with_a_large_tensor() -> dict[str, np.ndarray]:
    return {**weights(), "model.language_model.large": np.arange(3 << 20, dtype=np.float32)}


def merge_arguments(base: Any, adapter: Path, target: Any) -> list[str]:
    settings = json.dumps({**SETTINGS, "shard_size_gb": 0.001})
    return [
        "--settings", settings, "--base-model", str(base), "--adapter", str(adapter), "--output", str(target),
    ]  # fmt: skip


def kill_a_merge(arguments: list[str]) -> None:
    """A real process, killed while it writes."""
    process = subprocess.Popen([sys.executable, "-c", SLOW_MERGE, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"copied\n"
    process.kill()
    process.wait()


def test_sigkill_in_the_middle_is_survived(tmp_path: Path, adapter: Path) -> None:
    """The second try ends in the right model."""
    tensors = weights_with_a_large_tensor()
    arguments = merge_arguments(write_base(tmp_path / "base", tensors), adapter, tmp_path / "out")
    kill_a_merge(arguments)
    assert not (tmp_path / "out/config.json").exists()
    main(arguments)
    assert_merged(stored(tmp_path / "out"), tensors, peft_factors())
    read_manifest(tmp_path / "out/manifest.json", verify_hashes=True)


# ---- Buckets


@pytest.fixture(scope="module", params=[s3_bucket, gs_bucket], ids=["s3", "gs"])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    with request.param("models") as url:
        yield url


def in_bucket(url: str) -> dict[str, bytes]:
    """Name -> content of every object in the folder `url`."""
    fs, root = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    return {path.rpartition("/")[2]: fs.cat_file(path) for path in fs.find(root)}


def on_disk(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def upload(folder: Path, url: str) -> str:
    fs, root = fsspec.url_to_fs(url)
    for path in folder.iterdir():
        fs.put_file(str(path), f"{root}/{path.name}")
    return url


def test_base_and_target_may_be_in_a_bucket(bucket: str, base: Path, adapter: Path, tmp_path: Path) -> None:
    """The files are those of a merge on this machine, byte for byte."""
    merge(upload(base.parent, f"{bucket}/base"), adapter, f"{bucket}/out/manifest.json", shard_size_gb=3e-6)
    merge(base, adapter, tmp_path / "local", shard_size_gb=3e-6)
    assert in_bucket(f"{bucket}/out") == on_disk(tmp_path / "local")


def test_a_killed_merge_into_a_bucket_leaves_no_object_cut_short_and_goes_on(
    bucket: str, base: Path, adapter: Path, tmp_path: Path, dies_at_third_shard: list[str]
) -> None:
    interrupted(base, adapter, f"{bucket}/half")
    begun = list(dies_at_third_shard)
    names = in_bucket(f"{bucket}/half").keys()
    assert begun[2] not in names
    assert {"config.json", "manifest.json", "model.safetensors.index.json"}.isdisjoint(names)
    merge(base, adapter, f"{bucket}/half", shard_size_gb=3e-6)
    assert set(begun[:2]).isdisjoint(dies_at_third_shard[len(begun) :])
    merge(base, adapter, tmp_path / "local", shard_size_gb=3e-6)
    assert in_bucket(f"{bucket}/half") == on_disk(tmp_path / "local")


def test_sigkill_between_two_buckets_is_survived(bucket: str, tmp_path: Path, adapter: Path) -> None:
    base = write_base(tmp_path / "base", weights_with_a_large_tensor())
    url = upload(base.parent, f"{bucket}/large")
    kill_a_merge(merge_arguments(url, adapter, f"{bucket}/killed"))
    assert {"config.json", "manifest.json"}.isdisjoint(in_bucket(f"{bucket}/killed"))
    main(merge_arguments(url, adapter, f"{bucket}/killed"))
    main(merge_arguments(base, adapter, tmp_path / "local"))
    assert in_bucket(f"{bucket}/killed") == on_disk(tmp_path / "local")


def test_a_bucket_that_cannot_be_reached_is_one_line(
    bucket: str, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no safetensors file there" in error_of(capsys, f"{bucket}/nothing", adapter, tmp_path / "out")
    other = f"{bucket.partition(':')[0]}://no-such-bucket"
    assert other in error_of(capsys, f"{other}/x", adapter, tmp_path / "out")


def test_a_place_of_a_scheme_that_is_not_known_is_one_line(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "neither a folder nor a URL" in error_of(capsys, "nonsense://x/y", adapter, tmp_path / "out")
