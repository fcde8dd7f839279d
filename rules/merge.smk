# From an adapter to the served model, and the proof that both compute the same.

ADAPTER = in_run("adapters/{arm}/seed{seed}/trained/manifest.json")
MERGED = in_run("models/{arm}/seed{seed}/manifest.json")
PEFT_ADAPTER = in_run("adapters/{arm}/seed{seed}/peft/manifest.json")
TRAINED_LOGITS = in_run("merge_checks/{arm}/seed{seed}.trained_logits.npz")
NEXT_TOKENS = in_run("merge_checks/{arm}/seed{seed}.next_tokens.npz")


rule choose_adapter:
    """Takes the adapter of one step out of those that training published."""
    input:
        adapter=in_run("train/{arm}/seed{seed}/adapter/manifest.json"),
        metrics=in_run("train/{arm}/seed{seed}/metrics.jsonl"),
        lock="envs/jax.txt",
    output:
        ADAPTER,
    log:
        in_run("logs/choose_adapter/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/choose_adapter/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS) or "(?!)",
    params:
        code=code("scripts.merge.choose_adapter"),
        settings=settings(step=config["merge"]["step"]),
    shell:
        "python envs/launch.py jax python -m scripts.merge.choose_adapter --settings {params.settings:q}"
        " --adapter {input.adapter} --metrics {input.metrics} --output {output} > {log} 2>&1"


rule merge:
    """Adds an adapter, Tunix's or PEFT's, to the base model's safetensors."""
    input:
        base_model=BASE_MODEL,
        adapter=ADAPTER,
        lock="envs/jax.txt",
    output:
        MERGED,
    log:
        in_run("logs/merge/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/merge/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS) or "(?!)",
    threads: workflow.cores
    params:
        code=code("scripts.merge.merge"),
        settings=settings(lora=lora_settings(), shard_size_gb=config["merge"]["shard_size_gb"]),
    shell:
        "python envs/launch.py jax python -m scripts.merge.merge --settings {params.settings:q}"
        " --base-model {input.base_model} --adapter {input.adapter} --output {output} --jobs {threads} > {log} 2>&1"


rule export_adapter:
    """Writes an adapter in PEFT's format, which PEFT loads and vLLM serves beside the base."""
    input:
        base_model=BASE_MODEL,
        adapter=ADAPTER,
        lock="envs/jax.txt",
    output:
        PEFT_ADAPTER,
    log:
        in_run("logs/export_adapter/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/export_adapter/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS) or "(?!)",
    params:
        code=code("scripts.merge.export_adapter"),
        settings=settings(**lora_settings()),
    shell:
        "python envs/launch.py jax python -m scripts.merge.export_adapter --settings {params.settings:q}"
        " --base-model {input.base_model} --adapter {input.adapter} --output {output} > {log} 2>&1"


rule logits_tunix:
    """Logits of base plus LoRA in Tunix, as trained."""
    input:
        base_model=BASE_MODEL,
        adapter=ADAPTER,
        tokens=in_run("data/train.parquet"),
        lock="envs/jax.txt",
    output:
        TRAINED_LOGITS,
    log:
        in_run("logs/logits/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/logits/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm=arms_trained_with("tunix"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.merge.logits_tunix"),
        settings=lambda wc: settings(
            hardware=arm(wc.arm)["train"]["hardware"],
            hardware_kind=hardware_kind(wc.arm, "train"),
            mesh=arm(wc.arm)["train"]["mesh"],
            dtypes=config["merge_check"]["dtypes"],
            prompts=config["merge_check"]["prompts"],
        ),
    shell:
        "python envs/launch.py jax python -m scripts.merge.logits_tunix --settings {params.settings:q}"
        " --base-model {input.base_model} --adapter {input.adapter} --tokens {input.tokens}"
        " --output {output} > {log} 2>&1"


rule logits_peft:
    """Logits of base plus adapter in PEFT, as trained."""
    input:
        base_model=BASE_MODEL,
        adapter=ADAPTER,
        tokens=in_run("data/train.parquet"),
        lock=lambda wc: f"envs/{torch_env(wc)}.txt",
    output:
        TRAINED_LOGITS,
    log:
        in_run("logs/logits/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/logits/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm=arms_trained_with("trl"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.merge.logits_peft"),
        env=torch_env,
        settings=settings(dtypes=config["merge_check"]["dtypes"], prompts=config["merge_check"]["prompts"]),
    shell:
        "python envs/launch.py {params.env} python -m scripts.merge.logits_peft --settings {params.settings:q}"
        " --base-model {input.base_model} --adapter {input.adapter} --tokens {input.tokens}"
        " --output {output} > {log} 2>&1"


rule check_merge:
    """Stops the run unless the merged model, and the exported adapter on the base, are the trained model."""
    input:
        base_model=BASE_MODEL,
        merged=MERGED,
        adapter=PEFT_ADAPTER,
        logits=TRAINED_LOGITS,
        tokens=in_run("data/train.parquet"),
        lock=lambda wc: f"envs/{torch_env(wc)}.txt",
    output:
        check=in_run("merge_checks/{arm}/seed{seed}.json"),
        next_tokens=NEXT_TOKENS,
    log:
        in_run("logs/check_merge/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/check_merge/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS) or "(?!)",
    params:
        code=code("scripts.merge.check_merge"),
        env=torch_env,
        settings=lambda wc: settings(
            arm=wc.arm,
            seed=int(wc.seed),
            **{key: config["merge_check"][key] for key in ("dtypes", "prompts", "tolerances")},
        ),
    shell:
        "python envs/launch.py {params.env} python -m scripts.merge.check_merge --settings {params.settings:q}"
        " --base-model {input.base_model} --merged-model {input.merged} --adapter {input.adapter}"
        " --trained-logits {input.logits} --tokens {input.tokens}"
        " --output {output.check} --next-tokens {output.next_tokens} > {log} 2>&1"


rule check_served:
    """Stops the run unless the servers of the merged model, and of the base with the adapter, answer as it does."""
    input:
        base_model=BASE_MODEL,
        merged=MERGED,
        adapter=PEFT_ADAPTER,
        next_tokens=NEXT_TOKENS,
        tokens=in_run("data/train.parquet"),
        lock="envs/torch.txt",
    output:
        in_run("merge_checks/{arm}/seed{seed}.served.json"),
    log:
        in_run("logs/check_served/{arm}-seed{seed}.log"),
        server=in_run("logs/check_served/{arm}-seed{seed}.server.log"),
    benchmark:
        in_run("benchmarks/check_served/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS) or "(?!)",
    resources:
        accelerator=1,
    params:
        code=code("scripts.merge.check_served"),
        settings=served_check_settings,
    shell:
        "python envs/launch.py torch python -m scripts.merge.check_served --settings {params.settings:q}"
        " --base-model {input.base_model} --merged-model {input.merged} --adapter {input.adapter}"
        " --next-tokens {input.next_tokens} --tokens {input.tokens}"
        " --output {output} --server-log {log.server} > {log[0]} 2>&1"
