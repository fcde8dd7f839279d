# Tables, figures and the summary of a run.
TABLES = [
    "hardware",
    "training",
    "evaluation",
    "inference",
    "inference_by_rate",
    "cost_per_million_tokens",
    "tco",
]
FIGURES = ["loss", "throughput", "ttft", "pass_at_1_by_problem"]
RUN_RECORDS = arm_files("train/{arm}/seed{seed}/run.json", TRAINED_ARMS)
BENCHES = expand(RUN_DIR + "/bench/{arm}.json", arm=ARM_NAMES)
SCORES = arm_files("scores/{arm}/seed{seed}.json")


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
        hardware={name: HARDWARE[name] for name in hardware_used()},
        price=config["cost"]["price"],
    )


rule tables:
    input:
        runs=RUN_RECORDS,
        benches=BENCHES,
        scores=SCORES,
        costs=RUN_DIR + "/costs.json",
        lock="envs/analysis.txt",
    output:
        expand(RUN_DIR + "/tables/{table}.{suffix}", table=TABLES, suffix=["csv", "md", "tex"]),
        [
            report(
                RUN_DIR + f"/tables/{table}.html",
                caption=f"../report/{table}.rst",
                category="Tables",
                labels={"table": table.replace("_", " ")},
            )
            for table in TABLES
        ],
    log:
        RUN_DIR + "/logs/tables.log",
    benchmark:
        RUN_DIR + "/benchmarks/tables.tsv"
    params:
        code=code("scripts.report.tables"),
        settings=report_settings(),
        folder=RUN_DIR + "/tables",
    shell:
        "python envs/launch.py analysis python -m scripts.report.tables --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --scores {input.scores} --costs {input.costs}"
        " --output-dir {params.folder} > {log} 2>&1"


rule figures:
    input:
        runs=RUN_RECORDS,
        metrics=arm_files("train/{arm}/seed{seed}/metrics.jsonl", TRAINED_ARMS),
        benches=BENCHES,
        scores=SCORES,
        lock="envs/analysis.txt",
    output:
        [
            report(
                RUN_DIR + f"/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure.replace("_", " ")},
            )
            for figure in FIGURES
        ],
    log:
        RUN_DIR + "/logs/figures.log",
    benchmark:
        RUN_DIR + "/benchmarks/figures.tsv"
    params:
        code=code("scripts.report.figures"),
        settings=settings(arms=[{"name": entry["name"], "label": entry["label"]} for entry in ARMS]),
        folder=RUN_DIR + "/figures",
    shell:
        "python envs/launch.py analysis python -m scripts.report.figures --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --scores {input.scores}"
        " --output-dir {params.folder} > {log} 2>&1"


rule summary:
    input:
        runs=RUN_RECORDS,
        benches=BENCHES,
        scores=SCORES,
        costs=RUN_DIR + "/costs.json",
        config=RUN_DIR + "/config.json",
        tables=expand(RUN_DIR + "/tables/{table}.md", table=TABLES),
        figures=expand(RUN_DIR + "/figures/{figure}.svg", figure=FIGURES),
        lock="envs/analysis.txt",
    output:
        report(
            RUN_DIR + "/summary.md",
            caption="../report/summary.rst",
            category="Summary",
            labels={"summary": "all tables and their provenance"},
        ),
    log:
        RUN_DIR + "/logs/summary.log",
    benchmark:
        RUN_DIR + "/benchmarks/summary.tsv"
    params:
        code=code("scripts.report.summary"),
        settings=report_settings(),
    shell:
        "python envs/launch.py analysis python -m scripts.report.summary --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --scores {input.scores} --costs {input.costs}"
        " --config {input.config} --tables {input.tables} --figures {input.figures}"
        " --output {output} > {log} 2>&1"
