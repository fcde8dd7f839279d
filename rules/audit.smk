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
