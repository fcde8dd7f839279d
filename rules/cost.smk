# What training and serving cost. Only this rule and what follows it depend on prices.


rule cost:
    input:
        runs=arm_files("train/{arm}/seed{seed}/run.json", TRAINED_ARMS),
        benches=expand(in_run("bench/{arm}.json"), arm=ARM_NAMES),
        lock="envs/analysis.txt",
    output:
        in_run("costs.json"),
    log:
        in_run("logs/cost.log"),
    benchmark:
        in_run("benchmarks/cost.tsv")
    params:
        code=code("scripts.cost.cost"),
        settings=settings(
            prices={name: price_paid(HARDWARE[name], config["cost"], name) for name in hardware_used()},
            serving_hours=config["cost"]["serving_hours"],
            arms=[
                {
                    "name": entry["name"],
                    "train": entry["train"]["hardware"] if entry["train"] else None,
                    "serve": entry["serve"]["hardware"],
                }
                for entry in ARMS
            ],
        ),
    shell:
        "python envs/launch.py analysis python -m scripts.cost.cost --settings {params.settings:q}"
        " --runs {input.runs} --benches {input.benches} --output {output} > {log} 2>&1"
