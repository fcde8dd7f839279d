# Base model and training rows.

LOCAL_MODEL = Path(config["model"]["source"])
LOCAL_ROWS = Path(config["data"]["source"])


rule base_model:
    """Puts the base model's files in place, linked from a local folder or fetched, with their hashes."""
    input:
        files=sorted(map(str, LOCAL_MODEL.iterdir())) if LOCAL_MODEL.is_dir() else [],
        lock="envs/jax.txt",
    output:
        BASE_MODEL,
    log:
        in_run("logs/base_model.log"),
    benchmark:
        in_run("benchmarks/base_model.tsv")
    params:
        code=code("scripts.data.base_model"),
        settings=settings(**config["model"]),
    shell:
        "python envs/launch.py jax python -m scripts.data.base_model --settings {params.settings:q}"
        " --output {output} > {log} 2>&1"


rule fetch_rows:
    """Puts the file of training rows in place, linked from a local path or fetched, with its hash."""
    input:
        file=str(LOCAL_ROWS) if LOCAL_ROWS.is_file() else [],
        lock="envs/jax.txt",
    output:
        in_run("data/source/manifest.json"),
    log:
        in_run("logs/fetch_rows.log"),
    benchmark:
        in_run("benchmarks/fetch_rows.tsv")
    params:
        code=code("scripts.data.fetch_rows"),
        settings=settings(source=config["data"]["source"], revision=config["data"]["revision"]),
    shell:
        "python envs/launch.py jax python -m scripts.data.fetch_rows --settings {params.settings:q}"
        " --output {output} 2>&1 | tee {log}"


rule prepare_data:
    """Filters the rows, renders them as chat turns and writes their tokens."""
    input:
        source=in_run("data/source/manifest.json"),
        base_model=BASE_MODEL,
        problems=PROBLEM_FILES if "overlaps_evaluation" in config["data"]["filters"] else [],
        lock="envs/jax.txt",
    output:
        tokens=in_run("data/train.parquet"),
        rows=in_run("data/rows.jsonl"),
        report=in_run("data/report.json"),
    log:
        in_run("logs/prepare_data.log"),
    benchmark:
        in_run("benchmarks/prepare_data.tsv")
    threads: workflow.cores
    params:
        code=code("scripts.data.prepare"),
        settings=data_settings(),
        problems=lambda wc, input: f"--problems {Path(input.problems[0]).parent}" if input.problems else "",
        state=in_run("state/compiles"),
    shell:
        "python envs/launch.py jax python -m scripts.data.prepare --settings {params.settings:q}"
        " --source {input.source} --base-model {input.base_model} {params.problems} --state {params.state}"
        " --jobs {threads} --tokens {output.tokens} --rows {output.rows} --report {output.report} 2>&1 | tee {log}"


rule batching:
    """Plans the batches of one training run in every batching mode: padding, shapes, steps."""
    input:
        tokens=in_run("data/train.parquet"),
        lock="envs/jax.txt",
    output:
        in_run("data/batching.json"),
    log:
        in_run("logs/batching.log"),
    benchmark:
        in_run("benchmarks/batching.tsv")
    params:
        code=code("scripts.data.batching"),
        settings=batching_settings(),
    shell:
        "python envs/launch.py jax python -m scripts.data.batching --settings {params.settings:q}"
        " --tokens {input.tokens} --output {output} > {log} 2>&1"


rule data_card:
    """Describes the training data in Markdown: source, licence, hashes, filters, counts, lengths, batches."""
    input:
        report=in_run("data/report.json"),
        batching=in_run("data/batching.json"),
        lock="envs/analysis.txt",
    output:
        report(
            in_run("data/card.md"),
            caption="../report/card.rst",
            category="Data",
            labels={"data": "data card"},
        ),
    log:
        in_run("logs/data_card.log"),
    benchmark:
        in_run("benchmarks/data_card.tsv")
    params:
        code=code("scripts.data.card"),
    shell:
        "python envs/launch.py analysis python -m scripts.data.card --report {input.report}"
        " --batching {input.batching} --output {output} > {log} 2>&1"
