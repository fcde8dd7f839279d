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
        RUN_DIR + "/logs/base_model.log",
    benchmark:
        RUN_DIR + "/benchmarks/base_model.tsv"
    params:
        code=code("scripts.data.base_model"),
        settings=settings(source=config["model"]["source"], revision=config["model"]["revision"]),
    shell:
        "python envs/launch.py jax python -m scripts.data.base_model --settings {params.settings:q}"
        " --output {output} > {log} 2>&1"


rule prepare_data:
    """Filters the rows, renders them as chat turns and writes tokens with an answer-only mask."""
    input:
        rows=str(LOCAL_ROWS) if LOCAL_ROWS.is_file() else [],
        base_model=BASE_MODEL,
        lock="envs/jax.txt",
    output:
        tokens=RUN_DIR + "/data/train.parquet",
        rows=RUN_DIR + "/data/rows.jsonl",
        report=RUN_DIR + "/data/report.json",
    log:
        RUN_DIR + "/logs/prepare_data.log",
    benchmark:
        RUN_DIR + "/benchmarks/prepare_data.tsv"
    params:
        code=code("scripts.data.prepare"),
        settings=settings(**config["data"]),
    shell:
        "python envs/launch.py jax python -m scripts.data.prepare --settings {params.settings:q}"
        " --base-model {input.base_model} --tokens {output.tokens} --rows {output.rows} --report {output.report}"
        " > {log} 2>&1"
