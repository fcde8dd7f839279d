# One file that keeps a run, and the configuration as it was resolved.
rule resolved_config:
    input:
        lock="envs/analysis.txt",
    output:
        in_run("config.json"),
    log:
        in_run("logs/resolved_config.log"),
    benchmark:
        in_run("benchmarks/resolved_config.tsv")
    params:
        code=code("scripts.archive.resolved_config"),
        settings=settings(**config),
    shell:
        "python envs/launch.py analysis python -m scripts.archive.resolved_config --settings {params.settings:q}"
        " --output {output} > {log} 2>&1"


rule archive:
    input:
        summary=in_run("summary.md"),
        config=in_run("config.json"),
        costs=in_run("costs.json"),
        tables=expand(
            in_run("tables/{table}.{suffix}"), table=[*TABLES, *LONG_TABLES], suffix=["csv", "md", "tex", "html"]
        ),
        figures=expand(in_run("figures/{figure}.svg"), figure=[*FIGURES, *COST_FIGURES]),
        data=expand(in_run("data/{name}"), name=["card.md", "report.json", "batching.json"]),
        source=in_run("data/source/manifest.json"),
        base_model=BASE_MODEL,
        runs=RUN_RECORDS,
        metrics=arm_files("train/{arm}/seed{seed}/metrics.jsonl", TRAINED_ARMS),
        adapters=arm_files("train/{arm}/seed{seed}/adapter/manifest.json", TRAINED_ARMS),
        models=arm_files("models/{arm}/seed{seed}/manifest.json", TRAINED_ARMS),
        merge_checks=arm_files("merge_checks/{arm}/seed{seed}.json", TRAINED_ARMS),
        samples=arm_files("samples/{arm}/seed{seed}.jsonl"),
        generations=arm_files("samples/{arm}/seed{seed}.record.json"),
        verdicts=arm_files("verdicts/{arm}/seed{seed}.jsonl"),
        failures=arm_files("verdicts/{arm}/seed{seed}.failures.jsonl"),
        simulations=arm_files("verdicts/{arm}/seed{seed}.report.json"),
        scores=SCORES,
        comparisons=in_run("comparisons.json"),
        published_evaluation=in_run("published_evaluation.json"),
        benches=BENCHES,
        raw=expand(in_run("bench/{arm}/raw/{cell}.json"), arm=ARM_NAMES, cell=BENCH_CELLS),
        audit=expand(in_run("audit/{name}"), name=["audit.json", "audit.md", "summary.md", "beside.json", "beside.md"]),
        hardware="resources/hardware.yaml",
        locks=sorted(str(path) for path in Path("envs").glob("*.txt")),
    output:
        in_run("archive.tar.gz"),
    log:
        in_run("logs/archive.log"),
    benchmark:
        in_run("benchmarks/archive.tsv")
    params:
        code=code("scripts.archive.archive"),
    shell:
        "python envs/launch.py analysis python -m scripts.archive.archive --files {input} --output {output}"
        " > {log} 2>&1"
