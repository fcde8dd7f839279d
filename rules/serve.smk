# Serving speed: vllm bench serve against each arm's server.

from scripts.serve.cells import cell_name

BENCH_CELLS = [
    cell_name(context["input_tokens"], context["output_tokens"], rate)
    for context in config["bench"]["contexts"]
    for rate in config["bench"]["request_rates_per_sec"]
]


rule bench:
    """Measures latency and throughput over contexts and request rates on one server."""
    input:
        model=lambda wildcards: model_manifest(wildcards.arm, SEEDS[0]),
        merge_check=lambda wildcards: merge_check(wildcards.arm, SEEDS[0]),
        lock="envs/torch.txt",
    output:
        bench=in_run("bench/{arm}.json"),
        raw=expand(in_run("bench/{{arm}}/raw/{cell}.json"), cell=BENCH_CELLS),
    log:
        in_run("logs/bench/{arm}.log"),
        client=in_run("logs/bench/{arm}.client.log"),
        server=in_run("logs/bench/{arm}.server.log"),
    benchmark:
        in_run("benchmarks/bench/{arm}.tsv")
    resources:
        accelerator=1,
    params:
        code=code("scripts.serve.bench"),
        settings=lambda wildcards: settings(
            arm=wildcards.arm,
            hardware=arm(wildcards.arm)["serve"]["hardware"],
            server=arm_server(wildcards.arm),
            **config["bench"],
        ),
        raw=lambda wc, output: str(Path(output.raw[0]).parent),
        state=in_run("state/bench"),
    shell:
        "python envs/launch.py torch python -m scripts.serve.bench --settings {params.settings:q} --model {input.model}"
        " --output {output.bench} --raw {params.raw} --state {params.state} --server-log {log.server}"
        " 2>&1 > {log.client} | tee {log[0]}"
