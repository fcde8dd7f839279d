# The real model compiled for the real slice, without it: does a run fit, how long, how much. And what a machine needs.
# Compiled points are kept in RUN_DIR/state/plan; `make plan` is `snakemake plan --configfile configs/paper.yaml`.

PLAN_MODEL = config["plan"]["model_config"]
PLAN_WHOLE = in_run("plan/compiled_check.json")
BATCHING_REPORT = in_run("data/batching.json")


localrules:
    plan,
    preflight,


rule plan:
    """The plan as tables and a figure: plan/plan.md."""
    input:
        in_run("plan/plan.md"),


rule plan_compile:
    """Asks the TPU compiler about every point of one part of the plan."""
    input:
        model=PLAN_MODEL,
        lock="envs/jax.txt",
    output:
        in_run("plan/compiled_{part}.json"),
    log:
        in_run("logs/plan/compile_{part}.log"),
    benchmark:
        in_run("benchmarks/plan/compile_{part}.tsv")
    wildcard_constraints:
        part="plan|scale_out|check",
    threads: workflow.cores
    params:
        code=code("scripts.plan.compile_choices"),
        settings=lambda wc: settings(part=wc.part, plan=plan_settings()),
        state_dir=in_run("state/plan"),
    shell:
        "python envs/launch.py jax python -m scripts.plan.compile_choices --settings {params.settings:q}"
        " --model-config {input.model} --state-dir {params.state_dir} --output {output} 2>&1 | tee {log}"


rule plan_report:
    """Predicts the run from what was compiled."""
    input:
        model=PLAN_MODEL,
        compiled=in_run("plan/compiled_plan.json"),
        scale_out=in_run("plan/compiled_scale_out.json"),
        # What was compiled with all layers takes the place of what was extrapolated.
        whole=PLAN_WHOLE if Path(PLAN_WHOLE).is_file() else [],
        # Measured row lengths take the place of the assumed ones as soon as the data stage has written them.
        batching=BATCHING_REPORT if Path(BATCHING_REPORT).is_file() else [],
        lock="envs/analysis.txt",
    output:
        plan=in_run("plan/plan.json"),
        text=in_run("plan/plan.md"),
        figure=in_run("plan/scale_out.svg"),
    log:
        in_run("logs/plan/report.log"),
    benchmark:
        in_run("benchmarks/plan/report.tsv")
    params:
        code=code("scripts.plan.plan"),
        settings=settings(
            plan=plan_settings(),
            hardware={
                name: priced(entry, config["cost"], name) for name, entry in HARDWARE.items() if entry["kind"] == "tpu"
            },
        ),
        optional=lambda wc, input: " ".join(
            f"--{name} {path}" for name, path in (("whole", input.whole), ("batching", input.batching)) if path
        ),
        folder=subpath(output.plan, parent=True),
    shell:
        "python envs/launch.py analysis python -m scripts.plan.plan --settings {params.settings:q}"
        " --model-config {input.model} --compiled {input.compiled} --scale-out {input.scale_out} {params.optional}"
        " --output-dir {params.folder} 2>&1 | tee {log}"


rule plan_check:
    """All layers compiled once: is the extrapolation within 2 %? About a quarter of an hour and 8 GB."""
    input:
        compiled=in_run("plan/compiled_plan.json"),
        whole=in_run("plan/compiled_check.json"),
        lock="envs/analysis.txt",
    output:
        in_run("plan/check.json"),
    log:
        in_run("logs/plan/check.log"),
    benchmark:
        in_run("benchmarks/plan/check.tsv")
    params:
        code=code("scripts.plan.check"),
        settings=settings(required=["arguments_gib", "peak_gib", "flops", "memory_traffic_bytes", "wire_bytes"]),
    shell:
        "python envs/launch.py analysis python -m scripts.plan.check --settings {params.settings:q}"
        " --compiled {input.compiled} --whole {input.whole} --output {output} 2>&1 | tee {log}"


rule preflight:
    """Checks this machine for an arm's training; writes nothing, so that it always runs."""
    input:
        lock="envs/jax.txt",
    log:
        in_run("logs/plan/preflight.log"),
    params:
        settings=lambda wc: preflight_settings(),
    shell:
        "python envs/launch.py jax python -m scripts.plan.preflight --settings {params.settings:q} --lock {input.lock}"
        " 2>&1 | tee {log}"
