# Tables, figures and the summary of a run.
TABLES = [
    "hardware",
    "training",
    "evaluation",
    "evaluation_statistics",
    "published_evaluation",
    "inference",
    "inference_by_rate",
    "cost_per_million_tokens",
    "tco",
    "break_even",
    "sensitivity",
]
FIGURES = ["lengths", "loss", "throughput", "ttft", "pass_at_1_by_problem"]
# Apart, since a changed price redraws them alone.
COST_FIGURES = ["total_cost", "tornado"]
# Too long for the summary.
LONG_TABLES = ["problems", "disagreements"]
RUN_RECORDS = arm_files("train/{arm}/seed{seed}/run.json", TRAINED_ARMS)
BENCHES = expand(in_run("bench/{arm}.json"), arm=ARM_NAMES)
SCORES = arm_files("scores/{arm}/seed{seed}.json")


rule tables:
    input:
        runs=RUN_RECORDS,
        benches=BENCHES,
        scores=SCORES,
        comparisons=in_run("comparisons.json"),
        published_evaluation=in_run("published_evaluation.json"),
        costs=in_run("costs.json"),
        lock="envs/analysis.txt",
    output:
        expand(in_run("tables/{table}.{suffix}"), table=[*TABLES, *LONG_TABLES], suffix=["csv", "md", "tex"]),
        [
            report(
                in_run(f"tables/{table}.html"),
                caption=f"../report/{table}.rst",
                category="Tables",
                labels={"table": table.replace("_", " ")},
            )
            for table in [*TABLES, *LONG_TABLES]
        ],
    log:
        in_run("logs/tables.log"),
    benchmark:
        in_run("benchmarks/tables.tsv")
    params:
        code=code("scripts.report.tables"),
        settings=report_settings(),
        folder=lambda wc, output: str(Path(output[0]).parent),
    shell:
        "python envs/launch.py analysis python -m scripts.report.tables --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --scores {input.scores} --costs {input.costs}"
        " --comparisons {input.comparisons} --published-evaluation {input.published_evaluation}"
        " --output-dir {params.folder} > {log} 2>&1"


rule figures:
    input:
        data=in_run("data/report.json"),
        runs=RUN_RECORDS,
        metrics=arm_files("train/{arm}/seed{seed}/metrics.jsonl", TRAINED_ARMS),
        benches=BENCHES,
        scores=SCORES,
        lock="envs/analysis.txt",
    output:
        [
            report(
                in_run(f"figures/{figure}.svg"),
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure.replace("_", " ")},
            )
            for figure in FIGURES
        ],
    log:
        in_run("logs/figures.log"),
    benchmark:
        in_run("benchmarks/figures.tsv")
    params:
        code=code("scripts.report.figures"),
        settings=settings(arms=[{"name": entry["name"], "label": entry["label"]} for entry in ARMS]),
        folder=lambda wc, output: str(Path(output[0]).parent),
    shell:
        "python envs/launch.py analysis python -m scripts.report.figures --settings {params.settings:q}"
        " --data {input.data} --runs {input.runs} --benches {input.benches} --scores {input.scores}"
        " --output-dir {params.folder} > {log} 2>&1"


rule cost_figures:
    input:
        costs=in_run("costs.json"),
        lock="envs/analysis.txt",
    output:
        [
            report(
                in_run(f"figures/{figure}.svg"),
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure.replace("_", " ")},
            )
            for figure in COST_FIGURES
        ],
    log:
        in_run("logs/cost_figures.log"),
    benchmark:
        in_run("benchmarks/cost_figures.tsv")
    params:
        code=code("scripts.report.cost_figures"),
        settings=report_settings(),
        folder=lambda wc, output: str(Path(output[0]).parent),
    shell:
        "python envs/launch.py analysis python -m scripts.report.cost_figures --settings {params.settings:q}"
        " --costs {input.costs} --output-dir {params.folder} > {log} 2>&1"


rule summary:
    input:
        runs=RUN_RECORDS,
        benches=BENCHES,
        scores=SCORES,
        costs=in_run("costs.json"),
        config=in_run("config.json"),
        tables=expand(in_run("tables/{table}.md"), table=TABLES),
        figures=expand(in_run("figures/{figure}.svg"), figure=[*FIGURES, *COST_FIGURES]),
        lock="envs/analysis.txt",
    output:
        report(
            in_run("summary.md"),
            caption="../report/summary.rst",
            category="Summary",
            labels={"summary": "all tables and their provenance"},
        ),
    log:
        in_run("logs/summary.log"),
    benchmark:
        in_run("benchmarks/summary.tsv")
    params:
        code=code("scripts.report.summary"),
        settings=report_settings(),
    shell:
        "python envs/launch.py analysis python -m scripts.report.summary --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --scores {input.scores} --costs {input.costs}"
        " --config {input.config} --tables {input.tables} --figures {input.figures}"
        " --output {output} > {log} 2>&1"
