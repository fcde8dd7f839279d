# The paper's numbers, recomputed: `snakemake audit` takes seconds and needs no hardware.

PUBLISHED = "resources/paper/published.yaml"
PUBLISHED_SECTIONS = sorted(str(path) for path in Path("resources/paper/published").glob("*.yaml"))
AUDIT_MODEL = "resources/models/gemma-4-31B-it.config.json"
# Of an entry, what formulas read: a changed price does not rerun the audit.
AUDITED_HARDWARE = [
    "chips",
    "hbm_gib",
    "peak_tflops_bf16",
    "memory_bandwidth_gb_per_sec",
    "interconnect_gb_per_sec",
]


localrules:
    audit,


rule audit:
    """Every number and claim of the paper with a verdict: audit/audit.md."""
    input:
        in_run("audit/audit.md"),


rule audit_paper:
    input:
        published=PUBLISHED,
        sections=PUBLISHED_SECTIONS,
        model=AUDIT_MODEL,
        lock="envs/analysis.txt",
    output:
        json=in_run("audit/audit.json"),
        text=in_run("audit/audit.md"),
        summary=in_run("audit/summary.md"),
        page=report(
            in_run("audit/audit.html"),
            caption="../report/audit.rst",
            category="Audit of the paper",
            labels={"page": "every claim, its arithmetic and its verdict"},
        ),
    log:
        in_run("logs/audit/audit.log"),
    benchmark:
        in_run("benchmarks/audit/audit.tsv")
    params:
        code=code("scripts.audit.audit"),
        settings=settings(
            hardware={name: {key: entry[key] for key in AUDITED_HARDWARE} for name, entry in HARDWARE.items()}
        ),
        folder=subpath(output.json, parent=True),
    shell:
        "python envs/launch.py analysis python -m scripts.audit.audit --settings {params.settings:q}"
        " --published {input.published} --model-config {input.model} --output-dir {params.folder} 2>&1 | tee {log}"


rule beside:
    """Our run's numbers beside the published ones."""
    input:
        published=PUBLISHED,
        sections=PUBLISHED_SECTIONS,
        runs=RUN_RECORDS,
        benches=BENCHES,
        scores=SCORES,
        costs=in_run("costs.json"),
        lock="envs/analysis.txt",
    output:
        json=in_run("audit/beside.json"),
        text=in_run("audit/beside.md"),
        page=report(
            in_run("audit/beside.html"),
            caption="../report/beside.rst",
            category="Audit of the paper",
            labels={"page": "ours beside the published"},
        ),
    log:
        in_run("logs/audit/beside.log"),
    benchmark:
        in_run("benchmarks/audit/beside.tsv")
    params:
        code=code("scripts.audit.beside"),
        settings=beside_settings(),
    shell:
        "python envs/launch.py analysis python -m scripts.audit.beside --settings {params.settings:q}"
        " --published {input.published} --runs {input.runs} --benches {input.benches} --scores {input.scores}"
        " --costs {input.costs} --output {output.json} > {log} 2>&1"


rule beside_plan:
    """The plan's predictions beside the published: snakemake results/paper/audit/beside_plan.md with configs/paper.yaml."""
    input:
        published=PUBLISHED,
        sections=PUBLISHED_SECTIONS,
        plan=in_run("plan/plan.json"),
        lock="envs/analysis.txt",
    output:
        json=in_run("audit/beside_plan.json"),
        text=in_run("audit/beside_plan.md"),
        page=in_run("audit/beside_plan.html"),
    log:
        in_run("logs/audit/beside_plan.log"),
    benchmark:
        in_run("benchmarks/audit/beside_plan.tsv")
    params:
        code=code("scripts.audit.beside"),
        settings=beside_settings(),
    shell:
        "python envs/launch.py analysis python -m scripts.audit.beside --settings {params.settings:q}"
        " --published {input.published} --plan {input.plan} --output {output.json} > {log} 2>&1"
