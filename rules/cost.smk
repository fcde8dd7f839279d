# What training and serving cost. Only this rule and what follows it depend on prices.
CHOSEN_PRICES = ("price", "regions")


rule cost:
    input:
        runs=arm_files("train/{arm}/seed{seed}/run.json", TRAINED_ARMS),
        benches=expand(in_run("bench/{arm}.json"), arm=ARM_NAMES),
        scores=arm_files("scores/{arm}/seed{seed}.json"),
        samples=arm_files("samples/{arm}/seed{seed}.jsonl"),
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
            spot_prices={name: spot_price(HARDWARE[name], config["cost"], name) for name in hardware_used()},
            checkpoint_interval_steps=config["train"]["checkpoint_interval_steps"],
            **{key: value for key, value in config["cost"].items() if key not in CHOSEN_PRICES},
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
        " --runs {input.runs} --benches {input.benches}"
        " --scores {input.scores} --samples {input.samples} --output {output} > {log} 2>&1"
