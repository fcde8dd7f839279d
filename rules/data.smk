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
        tokens=in_run("data/train.parquet"),
        rows=in_run("data/rows.jsonl"),
        report=in_run("data/report.json"),
    log:
        in_run("logs/prepare_data.log"),
    benchmark:
        in_run("benchmarks/prepare_data.tsv")
    params:
        code=code("scripts.data.prepare"),
        settings=settings(**config["data"]),
    shell:
        "python envs/launch.py jax python -m scripts.data.prepare --settings {params.settings:q}"
        " --base-model {input.base_model} --tokens {output.tokens} --rows {output.rows} --report {output.report}"
        " > {log} 2>&1"
