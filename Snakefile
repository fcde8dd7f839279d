# Fine-tuning and serving on several accelerators, compared: filter, train, merge, serve, evaluate, price, report.
# `snakemake all` runs the configured arms; `snakemake -n all` says what it would run. Settings: config.yaml.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/merge.smk"
include: "rules/serve.smk"
include: "rules/verilog.smk"
include: "rules/cost.smk"
include: "rules/report.smk"
include: "rules/archive.smk"
include: "rules/plan.smk"
include: "rules/audit.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        in_run("summary.md"),
        in_run("archive.tar.gz"),
