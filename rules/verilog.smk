# Samples from the served model, verdicts from Icarus Verilog, pass@k.

PROMPT_FILES = [path for path in PROBLEM_FILES if path.endswith("_prompt.txt")] or PROBLEM_FILES

if PROBLEMS_DOWNLOADED:

    rule fetch_problems:
        """Downloads VerilogEval's problems at the pinned commit."""
        input:
            lock="envs/analysis.txt",
        output:
            PROBLEM_FILES[0],
        log:
            in_run("logs/fetch_problems.log"),
        benchmark:
            in_run("benchmarks/fetch_problems.tsv")
        params:
            code=code("scripts.verilog.fetch_problems"),
            settings=settings(problems=PROBLEMS, problems_sha256=config["verilog"]["problems_sha256"]),
        shell:
            "python envs/launch.py analysis python -m scripts.verilog.fetch_problems --settings {params.settings:q}"
            " --output {output} 2>&1 | tee {log}"

elif not problem_files(Path(PROBLEMS_DIR)):

    rule problems:
        """Stops with what to do: the configured folder of problems is missing."""
        output:
            str(Path(PROBLEMS_DIR, "problems.txt")),
        log:
            in_run("logs/problems.log"),
        benchmark:
            in_run("benchmarks/problems.tsv")
        params:
            code=code("scripts.verilog.require_problems"),
            folder=PROBLEMS_DIR,
        shell:
            "python envs/launch.py analysis python -m scripts.verilog.require_problems --folder {params.folder:q}"
            " --output {output} > {log} 2>&1"


rule generate:
    """Samples answers to every problem through the served model's chat API."""
    input:
        model=lambda wc: model_manifest(wc.arm, wc.seed),
        merge_check=lambda wc: merge_check(wc.arm, wc.seed),
        prompts=PROMPT_FILES,
        lock="envs/torch.txt",
    output:
        samples=in_run("samples/{arm}/seed{seed}.jsonl"),
        record=in_run("samples/{arm}/seed{seed}.record.json"),
    log:
        in_run("logs/generate/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/generate/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm=arms_generated_by("served"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.verilog.generate"),
        settings=generate_settings,
        problems_dir=lambda wc, input: str(Path(input.prompts[0]).parent),
        state=in_run("state/generate"),
        server_log=in_run("logs/generate/{arm}-seed{seed}-server.log"),
    shell:
        "python envs/launch.py torch python -m scripts.verilog.generate --settings {params.settings:q}"
        " --model {input.model} --problems {params.problems_dir:q} --state {params.state}"
        " --server-log {params.server_log} --output {output.samples} --record {output.record} 2>&1 | tee {log}"


rule generate_tunix:
    """Samples answers to every problem with Tunix's sampler, from the same weights."""
    input:
        model=lambda wc: model_manifest(wc.arm, wc.seed),
        merge_check=lambda wc: merge_check(wc.arm, wc.seed),
        prompts=PROMPT_FILES,
        lock="envs/jax.txt",
    output:
        samples=in_run("samples/{arm}/seed{seed}.jsonl"),
        record=in_run("samples/{arm}/seed{seed}.record.json"),
    log:
        in_run("logs/generate/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/generate/{arm}-seed{seed}.tsv")
    wildcard_constraints:
        arm=arms_generated_by("tunix"),
    resources:
        accelerator=1,
    params:
        code=code("scripts.verilog.generate_tunix"),
        settings=generate_tunix_settings,
        problems_dir=lambda wc, input: str(Path(input.prompts[0]).parent),
        state=in_run("state/generate"),
    shell:
        "python envs/launch.py jax python -m scripts.verilog.generate_tunix --settings {params.settings:q}"
        " --model {input.model} --problems {params.problems_dir:q} --state {params.state}"
        " --output {output.samples} --record {output.record} 2>&1 | tee {log}"


rule simulate:
    """Judges every sample with Icarus Verilog in a sandbox."""
    input:
        samples=in_run("samples/{arm}/seed{seed}.jsonl"),
        problems=PROBLEM_FILES,
        lock="envs/analysis.txt",
    output:
        verdicts=in_run("verdicts/{arm}/seed{seed}.jsonl"),
        failures=in_run("verdicts/{arm}/seed{seed}.failures.jsonl"),
        report=in_run("verdicts/{arm}/seed{seed}.report.json"),
    log:
        in_run("logs/simulate/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/simulate/{arm}-seed{seed}.tsv")
    threads: workflow.cores
    params:
        code=code("scripts.verilog.simulate"),
        settings=settings(
            simulation_timeout_sec=config["verilog"]["simulation_timeout_sec"],
            simulation_memory_mib=config["verilog"]["simulation_memory_mib"],
            unsafe_no_sandbox=config["verilog"]["unsafe_no_sandbox"],
            min_icarus=config["verilog"]["min_icarus"],
        ),
        state=in_run("state/simulate"),
        problems_dir=lambda wc, input: str(Path(input.problems[0]).parent),
    shell:
        "python envs/launch.py analysis python -m scripts.verilog.simulate --settings {params.settings:q}"
        " --problems {params.problems_dir:q} --samples {input.samples} --verdicts {output.verdicts}"
        " --failures {output.failures} --state {params.state} --report {output.report} --jobs {threads} 2>&1"
        " | tee {log}"


rule score:
    """Computes unbiased pass@k and the counts of verdicts."""
    input:
        verdicts=in_run("verdicts/{arm}/seed{seed}.jsonl"),
        report=in_run("verdicts/{arm}/seed{seed}.report.json"),
        generation=in_run("samples/{arm}/seed{seed}.record.json"),
        problems=PROBLEM_FILES,
        lock="envs/analysis.txt",
    output:
        in_run("scores/{arm}/seed{seed}.json"),
    log:
        in_run("logs/score/{arm}-seed{seed}.log"),
    benchmark:
        in_run("benchmarks/score/{arm}-seed{seed}.tsv")
    params:
        code=code("scripts.verilog.score"),
        settings=lambda wc: settings(
            arm=wc.arm,
            seed=int(wc.seed),
            pass_at_k=config["verilog"]["pass_at_k"],
            resampling=resampling_settings(),
        ),
        problems_dir=lambda wc, input: str(Path(input.problems[0]).parent),
    shell:
        "python envs/launch.py analysis python -m scripts.verilog.score --settings {params.settings:q}"
        " --verdicts {input.verdicts} --report {input.report} --problems {params.problems_dir:q}"
        " --generation {input.generation} --output {output} > {log} 2>&1"


rule compare:
    """Compares the arms with the baseline on the same problems: intervals, paired tests, power."""
    input:
        scores=arm_files("scores/{arm}/seed{seed}.json"),
        lock="envs/analysis.txt",
    output:
        in_run("comparisons.json"),
    log:
        in_run("logs/compare.log"),
    benchmark:
        in_run("benchmarks/compare.tsv")
    params:
        code=code("scripts.verilog.compare"),
        settings=settings(
            arms=ARM_NAMES,
            baseline_arm=config["baseline_arm"],
            pass_at_k=config["verilog"]["pass_at_k"],
            resampling=resampling_settings(),
            difference_of_interest=config["verilog"]["statistics"]["difference_of_interest"],
        ),
    shell:
        "python envs/launch.py analysis python -m scripts.verilog.compare --settings {params.settings:q}"
        " --scores {input.scores} --output {output} > {log} 2>&1"


rule published_evaluation:
    """Puts the paper's own totals through the same statistics."""
    input:
        published="resources/paper/published/6_evaluation.yaml",
        lock="envs/analysis.txt",
    output:
        in_run("published_evaluation.json"),
    log:
        in_run("logs/published_evaluation.log"),
    benchmark:
        in_run("benchmarks/published_evaluation.tsv")
    params:
        code=code("scripts.verilog.published"),
        settings=settings(
            resampling=resampling_settings(),
            difference_of_interest=config["verilog"]["statistics"]["difference_of_interest"],
        ),
    shell:
        "python envs/launch.py analysis python -m scripts.verilog.published --settings {params.settings:q}"
        " --published {input.published} --output {output} > {log} 2>&1"
