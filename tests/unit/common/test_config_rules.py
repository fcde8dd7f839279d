"""Keys that are right alone must fit together, and fit the hardware and its prices: one line for each that does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.common.configs import arms, problems


@pytest.mark.parametrize(
    ("overlay", "line"),
    [
        (
            {"baseline_arm": "gpuu"},
            "baseline_arm: found 'gpuu', expected one of the arms base, tpu, gpu; did you mean gpu?",
        ),
        (arms(0, name="TPU"), "arms[1].name: found 'tpu', expected a name unlike arms[0].name"),
        (
            arms(1, train={"hardware": "tpu-v5p8"}),
            "arms[1].train.hardware: found 'tpu-v5p8', expected an entry of resources/hardware.yaml; "
            "did you mean tpu-v5p-8?",
        ),
        (
            arms(1, train={"hardware": "tpu-v5p-8", "mesh": {"fsdp": 1, "tp": 8}}),
            "arms[1].train.mesh: found 1 x 8 = 8 devices, expected the 4 chips of tpu-v5p-8",
        ),
        (
            arms(2, train={"hardware": "tpu-v5p-8"}),
            "arms[2].train.backend: found trl on tpu-v5p-8, expected kind cpu or gpu",
        ),
        (
            arms(2, train={"hardware": "gpu-2xh100", "processes": 4}),
            "arms[2].train.processes: found 4 processes, expected at most the 2 chips of gpu-2xh100",
        ),
        (
            arms(2, train={"fsdp": True}),
            "arms[2].train.fsdp: found true on laptop, expected false: FSDP needs GPUs",
        ),
        (
            arms(2, serve={"hardware": "gpu-2xh100", "tensor_parallel_size": 4}),
            "arms[2].serve.tensor_parallel_size: found 4 devices, expected at most the 2 chips of gpu-2xh100",
        ),
        (
            {"train": {"samples_per_step": 12}},
            "train.samples_per_step: found 12 samples, expected a multiple of train.micro_batch_size x "
            "arms[1].train.mesh.fsdp = 8 x 1 samples",
        ),
        (
            arms(2, train={"processes": 3}),
            "train.samples_per_step: found 16 samples, expected a multiple of train.micro_batch_size x "
            "arms[2].train.processes = 8 x 3 samples",
        ),
        ({"plan": {"slice": "v5p-9"}}, "plan.slice: found slice 'v5p-9': unknown (v5p counts TensorCores"),
        (
            arms(
                1, generate={"backend": "tunix", "hardware": "tpu-v5p-8", "mesh": {"fsdp": 2, "tp": 4}, "batch_size": 8}
            ),
            "arms[1].generate.mesh: found 2 x 4 = 8 devices, expected the 4 chips of tpu-v5p-8",
        ),
        (
            arms(1, generate={"backend": "tunix", "hardware": "laptop", "mesh": {"fsdp": 1, "tp": 1}, "batch_size": 0}),
            "arms[1].generate.batch_size: found 0, expected an integer of at least 1 (answers sampled at a time",
        ),
        (
            {"plan": {"preflight_arm": "tpv"}},
            "plan.preflight_arm: found 'tpv', expected one of the arms base, tpu, gpu",
        ),
        (
            {"verilog": {"pass_at_k": [1, 6]}},
            "verilog.pass_at_k[1]: found 6 samples, expected at most verilog.samples_per_problem = 5 samples",
        ),
        (
            {"verilog": {"problems_sha256": "0" * 64}},
            "verilog.problems_sha256: found a hash for the folder resources/mini/problems, expected null",
        ),
        (
            {"verilog": {"max_new_tokens": 512}},
            "verilog.max_new_tokens: found 512 tokens, expected less than serve.max_model_len_tokens = 512 tokens",
        ),
        (
            {"bench": {"contexts": [{"input_tokens": 500, "output_tokens": 13}]}},
            "bench.contexts[0]: found 500 + 13 = 513 tokens, expected at most serve.max_model_len_tokens = 512 tokens",
        ),
        (
            {"data": {"max_rows": 80}},
            "train.warmup_steps: found 20 optimizer steps, expected at most 10: data.max_rows = 80 rows give no more",
        ),
        (
            {"data": {"max_rows": 160}, "train": {"held_out_rows": 80}},
            "train.warmup_steps: found 20 optimizer steps, expected at most 10: data.max_rows = 160 rows without "
            "train.held_out_rows = 80 give no more",
        ),
        (
            {"data": {"max_rows": 400}, "train": {"held_out_rows": 392}},
            "train.held_out_rows: found 392 rows, expected at most 384: data.max_rows = 400 rows have to fill a step "
            "of 16 samples too",
        ),
        (
            {"train": {"held_out_rows": 12}},
            "train.held_out_rows: found 12 rows, expected a multiple of train.micro_batch_size x "
            "arms[1].train.mesh.fsdp = 8 x 1 rows",
        ),
        ({"train": {"held_out_rows": -8}}, "train.held_out_rows: found -8, expected an integer of at least 0"),
        (
            {"merge": {"step": "best"}},
            "merge.step: found best, expected newest or an optimizer step: train.held_out_rows is 0, so that there is "
            "no held-out loss to judge by",
        ),
        (
            {"train": {"checkpoint_root": "gs:/bucket/path"}},
            "train.checkpoint_root: found 'gs:/bucket/path', expected null, a folder, or a bucket: gs://bucket/path",
        ),
    ],
)
def test_keys_must_fit_together(overlay: dict[str, Any], line: str) -> None:
    found = problems(overlay)
    assert any(entry.startswith(line) for entry in found), found


@pytest.mark.parametrize("root", [None, "/mnt/disk", "checkpoints", "gs://bucket", "s3://bucket/path"])
def test_checkpoints_go_to_a_folder_or_a_bucket(root: str | None) -> None:
    assert problems({"train": {"checkpoint_root": root}}) == []


def test_the_best_step_may_be_merged_where_rows_are_held_out() -> None:
    assert problems({"merge": {"step": "best"}, "train": {"held_out_rows": 16}}) == []


def test_a_context_may_fill_the_model_length_exactly() -> None:
    assert problems({"bench": {"contexts": [{"input_tokens": 500, "output_tokens": 12}]}}) == []


def test_a_price_that_an_arm_needs_must_be_known() -> None:
    found = problems({"cost": {"price": "commitment_3_years"}})
    assert found[0] == (
        "arms[0].serve.hardware: found no commitment_3_years price of laptop in resources/hardware.yaml, expected one, "
        "since cost.price asks for it; there is on_demand, spot"
    )


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        ({"price": "reserved"}, "cost.price: found the text 'reserved', expected one of on_demand, spot"),
        (
            {"regions": {"laptop": "mars-1"}},
            "cost.regions.laptop: found 'mars-1', expected a region where laptop has a price of kind on_demand in "
            "resources/hardware.yaml: us-central1, us-east4, us-east5, europe-west4",
        ),
        (
            {"price": "commitment_1_year", "regions": {"laptop": "us-central1"}},
            "cost.regions.laptop: found 'us-central1', expected a region where laptop has a price of kind "
            "commitment_1_year in resources/hardware.yaml: there is none",
        ),
        (
            {"regions": {"tpu-v6-8": "us-east5"}},
            "cost.regions.tpu-v6-8: unknown hardware, expected an entry of resources/hardware.yaml; "
            "did you mean tpu-v6e-8?",
        ),
        (
            {"sensitivity": {"price_factors": [2, 0.5]}},
            "cost.sensitivity.price_factors: found 2 and 0.5, expected a low and a higher end",
        ),
        (
            {"sensitivity": {"utilisations": [0, 1]}},
            "cost.sensitivity.utilisations[0]: found 0, expected a number above 0",
        ),
        ({"utilisation": 1.5}, "cost.utilisation: found 1.5, expected a number above 0 and at most 1"),
        ({"output_tokens_millions": []}, "cost.output_tokens_millions: found a list of 0, expected a list that is not"),
        ({"interruptions_per_hour": -1}, "cost.interruptions_per_hour: found -1, expected a number"),
        ({"regions": {"laptop": 3}}, "cost.regions.laptop: found 3, expected text that is not empty (region)"),
    ],
)
def test_prices_that_cannot_be_paid_are_one_line_each(cost: dict[str, Any], line: str) -> None:
    found = problems({"cost": cost})
    assert found[0].startswith(line), found
