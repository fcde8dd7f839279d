# What every rule file uses: the checked configuration, the arms and where files are.
import json
import sys
from pathlib import Path

import yaml

sys.path.insert(0, workflow.basedir)

from scripts.common.code_hash import code_hash
from scripts.common.config import validate_config
from scripts.common.errors import UserError

HARDWARE = yaml.safe_load(Path(workflow.basedir, "resources/hardware.yaml").read_text())

try:
    validate_config(config, HARDWARE)
except UserError as error:
    raise WorkflowError(str(error))

RUN_DIR = "results/" + config["run"]
SEEDS = config["seeds"]
ARMS = config["arms"]
ARM_NAMES = [entry["name"] for entry in ARMS]
TRAINED_ARMS = [entry["name"] for entry in ARMS if entry["train"]]
BASE_MODEL = RUN_DIR + "/base_model/manifest.json"


wildcard_constraints:
    arm="|".join(ARM_NAMES),
    seed=r"\d+",


def arm(name):
    """The configuration of one arm."""
    return ARMS[ARM_NAMES.index(name)]


def arm_seeds(name):
    """The training seeds of an arm; an untuned arm has one model, under the first seed."""
    return SEEDS if name in TRAINED_ARMS else SEEDS[:1]


def arm_files(pattern, names=ARM_NAMES):
    """`pattern` below the run's folder for each arm and each of its seeds."""
    return [f"{RUN_DIR}/" + pattern.format(arm=name, seed=seed) for name in names for seed in arm_seeds(name)]


def model_manifest(name, seed):
    """Manifest of the model that an arm serves: merged, or for an untuned arm the base model."""
    return f"{RUN_DIR}/models/{name}/seed{seed}/manifest.json" if name in TRAINED_ARMS else BASE_MODEL


def merge_check(name, seed):
    """The proof that an arm's merged model is the trained one, as a list; empty for an untuned arm."""
    return [f"{RUN_DIR}/merge_checks/{name}/seed{seed}.json"] if name in TRAINED_ARMS else []


def settings(**values):
    """Settings of a step as canonical JSON: Snakemake reruns the step when this text changes."""
    return json.dumps(values, sort_keys=True)


def code(module):
    """Hash of a step's code without comments and docstrings: Snakemake reruns the step when it changes."""
    return code_hash(module)
