"""A run on several hosts: one process a host, each with a part of the devices; what they must agree on.

Process 0 is the one that reads and writes files; the others compute.
"""

from __future__ import annotations

import os

from scripts.common.devices import HardwareKind, count_devices
from scripts.common.errors import UserError
from scripts.common.jax_platform import MeshShape

# Where JAX's launchers put them; set by hand on a CPU, known by themselves on a TPU slice and under Slurm.
COORDINATOR = "JAX_COORDINATOR_ADDRESS"
PROCESSES = "JAX_NUM_PROCESSES"
PROCESS_ID = "JAX_PROCESS_ID"


def processes_from_environment() -> int:
    """How many processes the environment says the run has; 1 where it says nothing."""
    return _number(PROCESSES, 1)


def join_hosts(kind: HardwareKind, mesh: MeshShape) -> None:
    """Joins the processes of the run, before JAX is used: those that the environment names, or, where the mesh has
    more devices than this host, those of the slice, which JAX finds by itself.

    Raises UserError when the others do not come, or the environment names no complete run.
    """
    explicit = processes_from_environment() > 1
    if not explicit and (kind == "cpu" or count_devices(kind) >= mesh.devices):
        return
    import jax

    # The trainer has a handler of its own for SIGTERM, which JAX's would take the place of.
    jax.config.update("jax_enable_preemption_service", False)
    if kind == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if explicit and not (os.environ.get(COORDINATOR) and os.environ.get(PROCESS_ID)):
        raise UserError(f"{PROCESSES} is set: set {COORDINATOR} (host:port of process 0) and {PROCESS_ID} too")
    named = (os.environ[COORDINATOR], processes_from_environment(), _number(PROCESS_ID, 0)) if explicit else ()
    try:
        jax.distributed.initialize(*named)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"the mesh has {mesh.devices} devices over several hosts, and their processes did not find each other "
            f"({str(error).splitlines()[0]}): start the same command on every host (docs/hosts.md)"
        ) from None


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, str(default))
    if not text.isdecimal():
        raise UserError(f"{variable}: found {text!r}, expected a number")
    return int(text)


def is_writer() -> bool:
    import jax

    return jax.process_index() == 0


def from_writer(value: int) -> int:
    """Process 0's `value`, on every process."""
    import numpy as np
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def on_any(flag: bool) -> bool:
    """Whether `flag` is true on some process; every process must ask."""
    import numpy as np
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def require_same(fingerprint: str) -> None:
    """Raises UserError on every process when they were not started with the same settings, data, model and code."""
    import numpy as np
    from jax.experimental import multihost_utils

    mine = np.frombuffer(fingerprint.encode(), np.uint8)
    everyones = np.atleast_2d(multihost_utils.process_allgather(mine))
    others = [number for number, theirs in enumerate(everyones) if not np.array_equal(theirs, everyones[0])]
    if others:
        raise UserError(
            f"process {others[0]} has other settings, data, base model, code or packages than process 0: bring the "
            "same checkout and files to every host"
        )
