# LoRA fine-tuning, a backend an arm. Checkpoints are kept in RUN_DIR/state/train between tries.


def train_settings(wildcards):
    """What every backend needs to know of a run."""
    train = config["train"]
    hardware = arm(wildcards.arm)["train"]["hardware"]
    lora = {name: train[f"lora_{name}"] for name in ("rank", "alpha", "dropout", "targets")}
    direct = {name: value for name, value in train.items() if not name.startswith("lora_")}
    return {
        "arm": wildcards.arm,
        "seed": int(wildcards.seed),
        "hardware": hardware,
        "hardware_kind": HARDWARE[hardware]["kind"],
        "lora": lora,
        "max_seq_len_tokens": config["data"]["max_seq_len_tokens"],
        **direct,
    }


def arms_trained_with(backend):
    """Names of the arms of a training backend, as a wildcard constraint that matches nothing when there is none."""
    return "|".join(name for name in TRAINED_ARMS if arm(name)["train"]["backend"] == backend) or "(?!)"


def torch_env(wildcards):
    """The PyTorch stack for the arm's training hardware: the CPU build or the CUDA build."""
    return "torch-cuda" if HARDWARE[arm(wildcards.arm)["train"]["hardware"]]["kind"] == "gpu" else "torch"


rule train_tunix:
    """Tunix and Qwix on a JAX mesh."""
    input:
        base_model=BASE_MODEL,
        tokens=RUN_DIR + "/data/train.parquet",
        lock="envs/jax.txt",
    output:
        adapter=RUN_DIR + "/train/{arm}/seed{seed}/adapter/manifest.json",
        metrics=RUN_DIR + "/train/{arm}/seed{seed}/metrics.jsonl",
        run=RUN_DIR + "/train/{arm}/seed{seed}/run.json",
    log:
        RUN_DIR + "/logs/train/{arm}-seed{seed}.log",
    benchmark:
        RUN_DIR + "/benchmarks/train/{arm}-seed{seed}.tsv"
    wildcard_constraints:
        arm=arms_trained_with("tunix"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.train.train_tunix"),
        settings=lambda wc: settings(train=train_settings(wc), mesh=arm(wc.arm)["train"]["mesh"]),
        state_dir=RUN_DIR + "/state/train",
        folder=subpath(output.run, parent=True),
    shell:
        "python envs/launch.py jax python -m scripts.train.train_tunix --settings {params.settings:q}"
        " --base-model {input.base_model} --tokens {input.tokens} --state-dir {params.state_dir}"
        " --output {params.folder} 2>&1 | tee {log}"


rule train_trl:
    """TRL and PEFT on PyTorch, one process a data shard."""
    input:
        base_model=BASE_MODEL,
        tokens=RUN_DIR + "/data/train.parquet",
        lock=lambda wc: f"envs/{torch_env(wc)}.txt",
    output:
        adapter=RUN_DIR + "/train/{arm}/seed{seed}/adapter/manifest.json",
        metrics=RUN_DIR + "/train/{arm}/seed{seed}/metrics.jsonl",
        run=RUN_DIR + "/train/{arm}/seed{seed}/run.json",
    log:
        RUN_DIR + "/logs/train/{arm}-seed{seed}.log",
    benchmark:
        RUN_DIR + "/benchmarks/train/{arm}-seed{seed}.tsv"
    wildcard_constraints:
        arm=arms_trained_with("trl"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.train.train_trl"),
        env=torch_env,
        processes=lambda wc: arm(wc.arm)["train"]["processes"],
        settings=lambda wc: settings(
            train=train_settings(wc),
            processes=arm(wc.arm)["train"]["processes"],
            fsdp=arm(wc.arm)["train"].get("fsdp", False),
        ),
        state_dir=RUN_DIR + "/state/train",
        folder=subpath(output.run, parent=True),
    shell:
        "OMP_NUM_THREADS=1 python envs/launch.py {params.env}"
        " torchrun --standalone --nproc-per-node {params.processes} -m scripts.train.train_trl"
        " --settings {params.settings:q} --base-model {input.base_model} --tokens {input.tokens}"
        " --state-dir {params.state_dir} --output {params.folder} 2>&1 | tee {log}"
