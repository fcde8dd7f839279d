"""Compiles one training step for a TPU slice that is not there, and writes what the compiler says of it.

A process of its own a compile: the compiler's memory is measured, given back, and its crash ends nothing else.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.errors import UserError, entry_point
from scripts.common.files import read_json, write_json
from scripts.common.settings import parse_settings
from scripts.plan.collectives import ModuleCollectives, read_collectives
from scripts.plan.points import CompilePoint

if TYPE_CHECKING:
    import jax

    from scripts.plan.abstract_step import LoweredStep

COMPILER_PACKAGES = ("jax", "jaxlib", "libtpu")
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    # Describing a topology needs neither the metadata server of a TPU machine nor the lock on its device.
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# XLA may turn a multiplication of sharded operands into a loop that overlaps with its communication (windowed einsum).
# This is the least size, in MiB, of operands for which it does: larger than any.
WITHOUT_WINDOWED_EINSUM: dict[str, str | bool] = {"xla_jf_spmd_threshold_for_windowed_einsum_mib": "1000000"}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON object with the fields of CompilePoint")
    parser.add_argument("--model-config", type=Path, required=True, help="the model's config.json")
    parser.add_argument("--output", type=Path, required=True, help="JSON of this point")
    return parser.parse_args(argv)


def require_libtpu() -> None:
    """Raises UserError where the TPU compiler is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            "libtpu is not installed here: the plan compiles for a TPU with jax[tpu] of envs/jax.txt, which has no "
            "libtpu for this platform (Linux on x86-64 or arm64 is needed)"
        )


def compile_counted(lowered: jax.stages.Lowered) -> tuple[jax.stages.Compiled, ModuleCollectives, bool]:
    """The compiled step, its collectives, and whether XLA's default was kept, which is what training runs.

    It is not where that leaves a loop whose length XLA does not say: FLOPs and bytes of the loop's body would count
    once. Without windowed einsum the same FLOPs and bytes stand outside of loops.
    """
    compiled = lowered.compile()
    communication = read_collectives(compiled.as_text())
    if not communication.loops_of_unknown_length:
        return compiled, communication, True
    compiled = lowered.compile(WITHOUT_WINDOWED_EINSUM)
    return compiled, read_collectives(compiled.as_text()), False


def describe(step: LoweredStep) -> dict[str, Any]:
    """What the compiler says of a step, for one chip."""
    started = time.perf_counter()
    compiled, communication, default = compile_counted(step.lowered)
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    return {
        "arguments_bytes": memory.argument_size_in_bytes,
        "arguments_bytes_by_part": step.arguments_bytes,
        "temporaries_bytes": memory.temp_size_in_bytes,
        "outputs_bytes": memory.output_size_in_bytes,
        "aliased_bytes": memory.alias_size_in_bytes,
        "code_bytes": memory.generated_code_size_in_bytes,
        "flops": cost["flops"],
        "memory_traffic_bytes": cost["bytes accessed"],
        "collectives": [asdict(collective) for collective in communication.collectives],
        "loops": communication.loops,
        "loops_of_unknown_length": communication.loops_of_unknown_length,
        "windowed_einsum": default,
        "compile_sec": time.perf_counter() - started,
        "host_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


@entry_point
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    point = parse_settings(CompilePoint, args.settings)
    hf_config = read_json(args.model_config)
    require_libtpu()
    os.environ.update(ENVIRONMENT)
    import jax

    from scripts.plan.abstract_step import lower_point

    record: dict[str, Any] = {"refused": None, "compiled": None}
    try:
        record["compiled"] = describe(lower_point(point, hf_config))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise UserError(f"the TPU compiler failed: {str(error).splitlines()[0]}") from None
        # The compiler itself knows the slice's memory, and refuses a step that cannot fit.
        record["refused"] = str(error).splitlines()[0]
    versions = {name: importlib.metadata.version(name) for name in COMPILER_PACKAGES}
    write_json(args.output, {"point": asdict(point), "versions": versions, **record})


if __name__ == "__main__":
    main()
