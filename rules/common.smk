# What all the rules use: the checked configuration, the arms and where files are.
import json
import shlex
import sys
from pathlib import Path

import yaml

sys.path.insert(0, workflow.basedir)

from scripts.common.code_hash import code_hash
from scripts.common.config import validate_config
from scripts.common.config_rules import data_shards
from scripts.common.errors import UserError
from scripts.common.prices import price_paid, priced, spot_price
from scripts.common.problems import VERILOG_EVAL_FOLDERS, problem_files
from scripts.common.server_settings import server_settings

HARDWARE = yaml.safe_load(Path(workflow.basedir, "resources/hardware.yaml").read_text())

try:
    validate_config(config, HARDWARE)
except UserError as error:
    raise WorkflowError(str(error))

RUN_DIR = Path("results", config["run"])
SEEDS = config["seeds"]
ARMS = config["arms"]
ARM_NAMES = [entry["name"] for entry in ARMS]
TRAINED_ARMS = [entry["name"] for entry in ARMS if entry["train"]]
PROBLEMS = config["verilog"]["problems"]
PROBLEMS_DOWNLOADED = PROBLEMS in VERILOG_EVAL_FOLDERS
PROBLEMS_DIR = f"results/verilog-eval/{PROBLEMS}" if PROBLEMS_DOWNLOADED else PROBLEMS
if PROBLEMS_DOWNLOADED:
    PROBLEM_FILES = [str(Path(PROBLEMS_DIR, "manifest.json"))]
else:
    # A folder that is not there is stood for by its list, so that a dry run shows what would run.
    PROBLEM_FILES = list(map(str, problem_files(Path(PROBLEMS_DIR)))) or [str(Path(PROBLEMS_DIR, "problems.txt"))]


wildcard_constraints:
    arm="|".join(ARM_NAMES),
    seed=r"\d+",


def in_run(path):
    """`path` below the run's folder."""
    return str(RUN_DIR / path)


BASE_MODEL = in_run("base_model/manifest.json")


def data_settings():
    """What decides the training tokens: a filter's threshold only where the filter is in use."""
    data, verilog = config["data"], config["verilog"]
    compiler = {
        "timeout_sec": verilog["simulation_timeout_sec"],
        "memory_bytes": verilog["simulation_memory_mib"] << 20,
        "sandboxed": not verilog["unsafe_no_sandbox"],
    }
    used = {
        "near_duplicate_jaccard": ("near_duplicate", data["near_duplicate_jaccard"]),
        "overlap_rouge_l": ("overlaps_evaluation", data["overlap_rouge_l"]),
        "compiler": ("does_not_compile", compiler),
    }
    return settings(
        chat=config["chat"],
        **{key: data[key] for key in ("max_rows", "max_row_bytes", "on_bad_row", "filters", "max_seq_len_tokens")},
        **{key: value if name in data["filters"] else None for key, (name, value) in used.items()},
    )


def batching_settings():
    """What decides the batches of a run: of each number of rows that an arm's micro-batches have."""
    train = config["train"]
    shards = {data_shards(entry["train"]) for entry in ARMS if entry["train"]} or {1}
    return settings(
        samples_per_step=train["samples_per_step"],
        seed=SEEDS[0],
        rows_per_micro_batch=sorted(train["micro_batch_size"] * count for count in shards),
        batching=batching(train["batching"], train["row_lengths_tokens"]),
        held_out_rows=train["held_out_rows"],
    )


def arm(name):
    """The configuration of one arm."""
    return ARMS[ARM_NAMES.index(name)]


def arm_seeds(name):
    """The training seeds of an arm; an untuned arm has one model, under the first seed."""
    return SEEDS if name in TRAINED_ARMS else SEEDS[:1]


def arm_files(pattern, names=ARM_NAMES):
    """`pattern` below the run's folder for each arm and each of its seeds."""
    return [in_run(pattern.format(arm=name, seed=seed)) for name in names for seed in arm_seeds(name)]


def model_manifest(name, seed):
    """Manifest of the model that an arm serves: merged, or for an untuned arm the base model."""
    return in_run(f"models/{name}/seed{seed}/manifest.json") if name in TRAINED_ARMS else BASE_MODEL


def merge_check(name, seed):
    """The proofs that what an arm serves is the trained model, as a list; empty for an untuned arm."""
    if name not in TRAINED_ARMS:
        return []
    return [in_run(f"merge_checks/{name}/seed{seed}{proof}.json") for proof in ("", ".served")]


def settings(**values):
    """Settings of a step as canonical JSON: Snakemake reruns the step when this text changes."""
    return json.dumps(values, sort_keys=True)


def code(module):
    """Hash of a step's code without comments and docstrings: Snakemake reruns the step when it changes."""
    return code_hash(module)


def lora_settings():
    """The adapters of the run, in the form of LoraSettings."""
    return {name: config["train"][f"lora_{name}"] for name in ("rank", "alpha", "dropout", "targets")}


def train_settings(wildcards):
    """What every backend needs to know of a run."""
    train = {key: value for key, value in config["train"].items() if not key.startswith("lora_")}
    del train["compile_cache_dir"]
    if arm(wildcards.arm)["train"]["backend"] != "tunix":
        for key in ("quantization", "cross_entropy", "xla_flags"):
            del train[key]
    return {
        "arm": wildcards.arm,
        "seed": int(wildcards.seed),
        "hardware": arm(wildcards.arm)["train"]["hardware"],
        "hardware_kind": hardware_kind(wildcards.arm, "train"),
        "lora": lora_settings(),
        "batching": batching(train.pop("batching"), train.pop("row_lengths_tokens")),
        **train,
    }


# Not a setting: what it holds decides nothing.
COMPILE_CACHE = (
    f"--compile-cache-dir {shlex.quote(config['train']['compile_cache_dir'])}"
    if config["train"]["compile_cache_dir"]
    else ""
)


def batching(mode, row_lengths_tokens):
    """How samples become rows, in the form of BatchingSettings."""
    return {
        "mode": mode,
        "row_lengths_tokens": row_lengths_tokens,
        "max_seq_len_tokens": config["data"]["max_seq_len_tokens"],
    }


def arms_trained_with(backend):
    """Names of the arms of a training backend, as a wildcard constraint that matches nothing when there is none."""
    return "|".join(name for name in TRAINED_ARMS if arm(name)["train"]["backend"] == backend) or "(?!)"


def hardware_kind(name, role):
    """Kind (cpu, gpu, tpu) of the hardware that an arm uses to `train`, `generate` or `serve`."""
    return HARDWARE[arm(name)[role]["hardware"]]["kind"]


def torch_env(wildcards):
    """The PyTorch stack for the arm's training hardware: the CPU build or the CUDA build."""
    return "torch-cuda" if hardware_kind(wildcards.arm, "train") == "gpu" else "torch"


def hardware_used():
    """Names of the hardware entries that an arm trains or serves on, each once."""
    used = [part["hardware"] for entry in ARMS for part in (entry["train"], entry["serve"]) if part]
    return list(dict.fromkeys(used))


def report_settings():
    """Arms, baseline, and the hardware entries in use with their prices, for tables and the summary."""
    return settings(
        arms=[
            {
                "name": entry["name"],
                "label": entry["label"],
                "train_backend": entry["train"]["backend"] if entry["train"] else None,
                "train_hardware": entry["train"]["hardware"] if entry["train"] else None,
                "serve_backend": entry["serve"]["backend"],
                "serve_hardware": entry["serve"]["hardware"],
                "tensor_parallel_size": entry["serve"]["tensor_parallel_size"],
            }
            for entry in ARMS
        ],
        baseline_arm=config["baseline_arm"],
        hardware={name: priced(HARDWARE[name], config["cost"], name) for name in hardware_used()},
    )


def arm_server(name):
    """Settings of an arm's server, for ServerSettings: generation starts the same one."""
    return server_settings(config["serve"], arm(name), hardware_kind(name, "serve"))


def served_check_settings(wildcards):
    """The arm's server, and what its answers are compared with: the merged model in the type that it serves in."""
    check, serve = config["merge_check"], config["serve"]
    dtype = config["train"]["dtype"] if serve["dtype"] == "auto" else serve["dtype"]
    return settings(
        arm=wildcards.arm,
        seed=int(wildcards.seed),
        server=arm_server(wildcards.arm),
        dtype=dtype,
        prompts=check["prompts"],
        tolerance=check["tolerances"][dtype],
        serve_adapter=check["serve_adapter"],
        lora_rank=config["train"]["lora_rank"],
    )


def arms_generated_by(engine):
    """Names of the arms whose answers are `served`, or come from another engine, as a wildcard constraint."""
    found = [entry["name"] for entry in ARMS if entry.get("generate", {"backend": "served"})["backend"] == engine]
    return "|".join(found) or "(?!)"


def sampled_answers(wildcards):
    """What decides an arm's answers to the problems, whatever engine samples them."""
    verilog = config["verilog"]
    return {
        "chat": config["chat"],
        "prompt": {"variant": verilog["prompt"], "examples": verilog["prompt_examples"]},
        "samples_per_problem": verilog["samples_per_problem"],
        "sampling": {
            "temperature": verilog["temperature"],
            "top_p": verilog["top_p"],
            "max_new_tokens": verilog["max_new_tokens"],
            "seed": int(wildcards.seed),
        },
    }


def generate_settings(wildcards):
    """What decides the answers of an arm that is asked through its server."""
    server = arm_server(wildcards.arm)
    if config["chat"]["template"] != "model":
        # The requests bring the template, so that no server's image or model folder has to.
        server["extra_args"] = [*server.get("extra_args", []), "--trust-request-chat-template"]
    return settings(
        **sampled_answers(wildcards), requests_in_flight=config["verilog"]["requests_in_flight"], server=server
    )


def generate_tunix_settings(wildcards):
    """What decides the answers of an arm that Tunix's sampler gives."""
    engine = arm(wildcards.arm)["generate"]
    return settings(
        **sampled_answers(wildcards),
        engine={
            "hardware": engine["hardware"],
            "hardware_kind": hardware_kind(wildcards.arm, "generate"),
            "mesh": engine["mesh"],
            "dtype": config["serve"]["dtype"],
            "batch_size": engine["batch_size"],
        },
    )


def resampling_settings():
    """How the intervals and permutation tests of scores are made."""
    statistics = config["verilog"]["statistics"]
    return {
        "level": statistics["confidence_level"],
        "resamples": statistics["resamples"],
        "seed": statistics["seed"],
    }


def beside_settings():
    """The trained arms, and the parts of the configuration that have published counterparts."""
    parts = {
        "train": ["samples_per_step", "lora_rank", "lora_alpha", "peak_learning_rate", "warmup_steps"],
        "data": ["max_seq_len_tokens"],
        "serve": ["max_model_len_tokens"],
        "bench": ["prompts_per_cell"],
        "verilog": ["samples_per_problem", "temperature"],
    }
    return settings(
        model_source=config["model"]["source"],
        arms=[
            {
                "name": name,
                "train_backend": arm(name)["train"]["backend"],
                "hardware_kinds": [hardware_kind(name, "train"), hardware_kind(name, "serve")],
            }
            for name in TRAINED_ARMS
        ],
        config={part: {key: config[part][key] for key in keys} for part, keys in parts.items()},
    )


def plan_settings():
    """The plan's settings: its own, and those of the training run that it plans."""
    train, plan = config["train"], config["plan"]
    elsewhere = {"model_config", "slice", "preflight_arm", "model_download_gb"}
    own = {key: value for key, value in plan.items() if key not in elsewhere}
    return {
        **own,
        "slice_name": plan["slice"],
        "epochs": train["epochs"],
        "samples_per_step": train["samples_per_step"],
        "lora_rank": train["lora_rank"],
        "lora_alpha": train["lora_alpha"],
        "dtype": train["dtype"],
        "max_seq_len_tokens": config["data"]["max_seq_len_tokens"],
    }


def preflight_settings():
    """What the arm that is to be trained on this machine needs of it."""
    plan = config["plan"]
    name = plan["preflight_arm"] or next(iter(TRAINED_ARMS), None)
    if name not in TRAINED_ARMS:
        raise WorkflowError(f"plan.preflight_arm: found {name!r}, expected a trained arm: {', '.join(TRAINED_ARMS)}")
    entry = arm(name)
    hardware, source = entry["train"]["hardware"], Path(config["model"]["source"])
    local_bytes = sum(path.stat().st_size for path in source.iterdir()) if source.is_dir() else None
    return settings(
        arm=entry["name"],
        hardware=hardware,
        hardware_kind=HARDWARE[hardware]["kind"],
        chips=min(HARDWARE[hardware]["chips"], HARDWARE[hardware]["chips_per_host"] or HARDWARE[hardware]["chips"]),
        model_source=config["model"]["source"],
        model_gb=plan["model_download_gb"] if local_bytes is None else local_bytes / 1e9,
        checkpoints=config["train"]["checkpoint_root"] or in_run("state/train"),
    )
