"""What must hold between the keys of a configuration whose keys have the right types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from scripts.common.errors import UserError
from scripts.common.prices import price_paid
from scripts.common.problems import VERILOG_EVAL_FOLDERS
from scripts.common.slices import parse_slice


def consistency_problems(config: dict[str, Any], hardware: dict[str, Any], hardware_file: str) -> list[str]:
    """One line for each contradiction between keys, and between arms and the entries of `hardware_file`."""
    return [
        *_name_problems(config),
        *_chat_problems(config),
        *_filter_problems(config["data"]["filters"]),
        *_token_problems(config),
        *_step_problems(config),
        *_held_out_problems(config),
        *_checkpoint_problems(config["train"]["checkpoint_root"]),
        *_merge_check_problems(config),
        *_verilog_problems(config),
        *_plan_problems(config),
        *_sensitivity_problems(config["cost"]["sensitivity"]),
        *_region_problems(config["cost"], hardware, hardware_file),
        *(
            line
            for index, arm in enumerate(config["arms"])
            for line in _arm_problems(f"arms[{index}]", arm, config, hardware, hardware_file)
        ),
    ]


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word most like `word`, or None where none is near."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def data_shards(train: dict[str, Any]) -> int:
    """Parts that a trained arm's batch is split into: the mesh's fsdp axis (tunix) or the processes (trl)."""
    return int(train["mesh"]["fsdp"] if train["backend"] == "tunix" else train["processes"])


def _name_problems(config: dict[str, Any]) -> Iterator[str]:
    names = [arm["name"] for arm in config["arms"]]
    for index, name in enumerate(names):
        # Compared without case, since file systems may do so too.
        earlier = [other for other in names[:index] if other.lower() == name.lower()]
        if earlier:
            yield f"arms[{index}].name: found {name!r}, expected a name unlike arms[{names.index(earlier[0])}].name"
    if config["baseline_arm"] not in names:
        near = nearest(config["baseline_arm"], names)
        yield (
            f"baseline_arm: found {config['baseline_arm']!r}, expected one of the arms {', '.join(names)}"
            f"{f'; did you mean {near}?' if near else ''}"
        )


def _chat_problems(config: dict[str, Any]) -> Iterator[str]:
    if config["chat"]["template"] == "paper" and config["chat"]["system_prompt"] is not None:
        yield "chat.system_prompt: found text, expected null: the paper's template has no system turn"


def _filter_problems(filters: list[str]) -> Iterator[str]:
    if filters[:2] != ["no_answer", "no_module"]:
        yield (
            f"data.filters: found {', '.join(filters[:2])} first, expected no_answer, no_module: the others judge the "
            "module of an answer"
        )
    if "too_long" not in filters:
        yield "data.filters: found no too_long, expected it: longer rows would not fit training's arrays"


def _merge_check_problems(config: dict[str, Any]) -> Iterator[str]:
    served = config["serve"]["dtype"]
    dtype = config["train"]["dtype"] if served == "auto" else served
    if dtype not in config["merge_check"]["dtypes"]:
        found = ", ".join(config["merge_check"]["dtypes"])
        yield f"merge_check.dtypes: found {found}, expected {dtype} among them, for serve.dtype is {served}"


def _token_problems(config: dict[str, Any]) -> Iterator[str]:
    row_lengths = config["train"]["row_lengths_tokens"]
    if isinstance(row_lengths, list) and max(row_lengths) < config["data"]["max_seq_len_tokens"]:
        yield (
            f"train.row_lengths_tokens: found at most {max(row_lengths)} tokens, expected a length of at least "
            f"data.max_seq_len_tokens = {config['data']['max_seq_len_tokens']} tokens"
        )
    longest = config["serve"]["max_model_len_tokens"]
    for index, context in enumerate(config["bench"]["contexts"]):
        needed = context["input_tokens"] + context["output_tokens"]
        if needed > longest:
            yield (
                f"bench.contexts[{index}]: found {context['input_tokens']} + {context['output_tokens']} = "
                f"{needed} tokens, expected at most serve.max_model_len_tokens = {longest} tokens"
            )
    if config["verilog"]["max_new_tokens"] >= longest:
        yield (
            f"verilog.max_new_tokens: found {config['verilog']['max_new_tokens']} tokens, expected less than "
            f"serve.max_model_len_tokens = {longest} tokens, which the prompt needs too"
        )


def _step_problems(config: dict[str, Any]) -> Iterator[str]:
    train, rows = config["train"], config["data"]["max_rows"]
    if rows is not None:
        held_out = train["held_out_rows"]
        steps = train["epochs"] * max(0, (rows - held_out) // train["samples_per_step"])
        given = f"data.max_rows = {rows} rows" + (f" without train.held_out_rows = {held_out}" if held_out else "")
        if train["warmup_steps"] > steps:
            yield (
                f"train.warmup_steps: found {train['warmup_steps']} optimizer steps, expected at most {steps}: "
                f"{given} give no more"
            )


def _held_out_problems(config: dict[str, Any]) -> Iterator[str]:
    train, rows = config["train"], config["data"]["max_rows"]
    held_out, step = train["held_out_rows"], train["samples_per_step"]
    if config["merge"]["step"] == "best" and not held_out:
        yield (
            "merge.step: found best, expected newest or an optimizer step: train.held_out_rows is 0, so that there is "
            "no held-out loss to judge by"
        )
    if rows is not None and held_out and held_out + step > rows:
        yield (
            f"train.held_out_rows: found {held_out} rows, expected at most {max(0, rows - step)}: data.max_rows = "
            f"{rows} rows have to fill a step of {step} samples too"
        )


def _checkpoint_problems(root: str | None) -> Iterator[str]:
    scheme, separator, _ = (root or "").partition(":")
    if separator and not re.fullmatch(r"[a-z][a-z0-9+]*://[^/].*", root or ""):
        yield (f"train.checkpoint_root: found {root!r}, expected null, a folder, or a bucket: {scheme}://bucket/path")


def _verilog_problems(config: dict[str, Any]) -> Iterator[str]:
    verilog = config["verilog"]
    if verilog["problems_sha256"] is not None and verilog["problems"] not in VERILOG_EVAL_FOLDERS:
        yield (
            f"verilog.problems_sha256: found a hash for the folder {verilog['problems']}, expected null: only problems "
            f"that are downloaded ({', '.join(VERILOG_EVAL_FOLDERS)}) are checked by it"
        )
    samples = verilog["samples_per_problem"]
    for index, k in enumerate(verilog["pass_at_k"]):
        if k > samples:
            yield (
                f"verilog.pass_at_k[{index}]: found {k} samples, expected at most "
                f"verilog.samples_per_problem = {samples} samples"
            )


def _plan_problems(config: dict[str, Any]) -> Iterator[str]:
    plan = config["plan"]
    slices = {"plan.slice": plan["slice"], "plan.reference.slice_name": plan["reference"]["slice_name"]}
    slices |= {f"plan.scale_out[{i}].slice_name": step["slice_name"] for i, step in enumerate(plan["scale_out"])}
    for path, name in slices.items():
        try:
            parse_slice(name)
        except UserError as error:
            yield f"{path}: found {error}"
    names = [arm["name"] for arm in config["arms"]]
    if plan["preflight_arm"] not in (None, *names):
        yield f"plan.preflight_arm: found {plan['preflight_arm']!r}, expected one of the arms {', '.join(names)}"


def _sensitivity_problems(ranges: dict[str, list[float]]) -> Iterator[str]:
    for name, (low, high) in ranges.items():
        if low >= high:
            yield f"cost.sensitivity.{name}: found {low} and {high}, expected a low and a higher end"


def _region_problems(cost: dict[str, Any], hardware: dict[str, Any], hardware_file: str) -> Iterator[str]:
    for name, region in cost["regions"].items():
        if name not in hardware:
            near = nearest(name, list(hardware))
            hint = f"did you mean {near}?" if near else f"known: {', '.join(hardware)}"
            yield f"cost.regions.{name}: unknown hardware, expected an entry of {hardware_file}; {hint}"
        elif price_paid(hardware[name], cost, name) is None:
            prices = [price for price in hardware[name]["prices"] if price["kind"] == cost["price"]]
            known = ", ".join(dict.fromkeys(price["region"] for price in prices if price["region"]))
            yield (
                f"cost.regions.{name}: found {region!r}, expected a region where {name} has a price of kind "
                f"{cost['price']} in {hardware_file}: {known or 'there is none'}"
            )


def _arm_problems(
    path: str, arm: dict[str, Any], config: dict[str, Any], hardware: dict[str, Any], hardware_file: str
) -> Iterator[str]:
    if arm["train"] is not None and arm["serve"].get("model_id"):
        yield (
            f"{path}.serve.model_id: found {arm['serve']['model_id']!r} in a tuned arm, expected null: it would serve "
            "the untuned model under the arm's name"
        )
    for role in ("train", "generate", "serve"):
        if arm.get(role) is None:
            continue
        name = arm[role]["hardware"]
        if name not in hardware:
            near = nearest(name, list(hardware))
            hint = f"did you mean {near}?" if near else f"known: {', '.join(hardware)}"
            yield f"{path}.{role}.hardware: found {name!r}, expected an entry of {hardware_file}; {hint}"
            continue
        if role == "generate":
            yield from _mesh_problems(f"{path}.generate", arm["generate"], hardware[name])
            continue
        cost = config["cost"]
        if name not in cost["regions"] and price_paid(hardware[name], cost, name) is None:
            kinds = ", ".join(dict.fromkeys(price["kind"] for price in hardware[name]["prices"]))
            yield (
                f"{path}.{role}.hardware: found no {cost['price']} price of {name} in {hardware_file}, expected one, "
                f"since cost.price asks for it; there is {kinds}"
            )
        if role == "train":
            yield from _train_problems(f"{path}.train", arm["train"], config["train"], hardware[name])
        else:
            yield from _serve_problems(f"{path}.serve", arm["serve"], hardware[name])


def _train_problems(path: str, train: dict[str, Any], shared: dict[str, Any], entry: dict[str, Any]) -> Iterator[str]:
    accelerator = entry["kind"] != "cpu"
    if train["backend"] == "trl" and shared["quantization"] is not None:
        yield f"train.quantization: found {shared['quantization']}, expected null: {path} trains with trl, without it"
    if train["backend"] == "tunix":
        yield from _mesh_problems(path, train, entry)
    elif entry["kind"] == "tpu":
        yield f"{path}.backend: found trl on {train['hardware']}, expected kind cpu or gpu: TRL does not run on a TPU"
    elif accelerator and train["processes"] > entry["chips"]:
        yield (
            f"{path}.processes: found {train['processes']} processes, expected at most the {entry['chips']} chips "
            f"of {train['hardware']}"
        )
    elif not accelerator and train.get("fsdp", False):
        # accelerate would leave it out without a word, and average gradients instead.
        yield f"{path}.fsdp: found true on {train['hardware']}, expected false: FSDP needs GPUs"
    yield from _batch_problems(path, train, shared)


def _mesh_problems(path: str, part: dict[str, Any], entry: dict[str, Any]) -> Iterator[str]:
    mesh = part["mesh"]
    if entry["kind"] != "cpu" and mesh["fsdp"] * mesh["tp"] != entry["chips"]:
        yield (
            f"{path}.mesh: found {mesh['fsdp']} x {mesh['tp']} = {mesh['fsdp'] * mesh['tp']} devices, "
            f"expected the {entry['chips']} chips of {part['hardware']}"
        )


def _batch_problems(path: str, train: dict[str, Any], shared: dict[str, Any]) -> Iterator[str]:
    shards, micro, step = data_shards(train), shared["micro_batch_size"], shared["samples_per_step"]
    key = f"{path}.mesh.fsdp" if train["backend"] == "tunix" else f"{path}.processes"
    if step % (micro * shards):
        yield (
            f"train.samples_per_step: found {step} samples, expected a multiple of train.micro_batch_size x {key} = "
            f"{micro} x {shards} samples"
        )
    if shared["held_out_rows"] % (micro * shards):
        yield (
            f"train.held_out_rows: found {shared['held_out_rows']} rows, expected a multiple of "
            f"train.micro_batch_size x {key} = {micro} x {shards} rows"
        )


def _serve_problems(path: str, serve: dict[str, Any], entry: dict[str, Any]) -> Iterator[str]:
    if entry["kind"] != "cpu" and serve["tensor_parallel_size"] > entry["chips"]:
        yield (
            f"{path}.tensor_parallel_size: found {serve['tensor_parallel_size']} devices, expected at most the "
            f"{entry['chips']} chips of {serve['hardware']}"
        )
