# LoRA fine-tuning, a backend an arm. Checkpoints are kept in RUN_DIR/state/train between tries.


rule train_tunix:
    """Tunix and Qwix on a JAX mesh."""
    input:
        base_model=BASE_MODEL,
        tokens=in_run("data/train.parquet"),
        lock="envs/jax.txt",
    output:
        adapter=in_run("train/{arm}/seed{seed}/adapter/manifest.json"),
        metrics=in_run("train/{arm}/seed{seed}/metrics.jsonl"),
        run=in_run("train/{arm}/seed{seed}/run.json"),
    log:
        in_run("logs/train/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/train/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm=arms_trained_with("tunix"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.train.train_tunix"),
        settings=lambda wc: settings(train=train_settings(wc), mesh=arm(wc.arm)["train"]["mesh"]),
        state_dir=in_run("state/train"),
        compile_cache=COMPILE_CACHE,
        folder=subpath(output.run, parent=True),
    shell:
        "python envs/launch.py jax python -m scripts.train.train_tunix --settings {params.settings:q}"
        " --base-model {input.base_model} --tokens {input.tokens} --state-dir {params.state_dir}"
        " --output {params.folder} {params.compile_cache} 2>&1 | tee {log}"


rule train_trl:
    """TRL and PEFT on PyTorch, one process a data shard."""
    input:
        base_model=BASE_MODEL,
        tokens=in_run("data/train.parquet"),
        lock=lambda wc: f"envs/{torch_env(wc)}.txt",
    output:
        adapter=in_run("train/{arm}/seed{seed}/adapter/manifest.json"),
        metrics=in_run("train/{arm}/seed{seed}/metrics.jsonl"),
        run=in_run("train/{arm}/seed{seed}/run.json"),
    log:
        in_run("logs/train/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/train/{arm}-seed{seed}.tsv")
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
        state_dir=in_run("state/train"),
        folder=subpath(output.run, parent=True),
    shell:
        "OMP_NUM_THREADS=1 python envs/launch.py {params.env}"
        " python -m scripts.train.torchrun --standalone --nproc-per-node {params.processes} --shutdown-timeout 300"
        " -m scripts.train.train_trl"
        " --settings {params.settings:q} --base-model {input.base_model} --tokens {input.tokens}"
        " --state-dir {params.state_dir} --output {params.folder} 2>&1 | tee {log}"
