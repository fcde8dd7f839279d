"""vLLM's command line on a CPU, with the engine forked from the API server instead of started anew.

    python -m scripts.common.vllm_cpu serve MODEL --distributed-executor-backend uni ...

On a CPU vLLM runs as API server, engine and worker, and spawns the latter two, so that OpenMP can bind each worker to
cores of its own. Each then imports torch and vLLM again, 10 to 20 s that a small model spends on nothing else. For one
worker there is nothing to divide: it lives in the engine's process (VLLM_ENABLE_V1_MULTIPROCESSING=0 permits that on a
CPU), threads are not bound, and the engine is forked, as vLLM does by default everywhere but on a CPU.
Measured on two idle cores, until the first healthy answer: 53 s as vLLM does it, 37 s with the worker in the engine's
process, 18 s with the engine forked too, of which 14 s are the one import left.
"""

from __future__ import annotations

import gc
import os
import sys

ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def main() -> None:
    os.environ.update(ENVIRONMENT)
    # One core is left to the API server; vLLM's own choice on a CPU.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) - 1)))
    # Importing makes millions of objects and no garbage: collecting meanwhile costs a sixth of the time.
    gc.disable()
    # All that the forked engine will need, too.
    import vllm.entrypoints.cli.main
    import vllm.entrypoints.openai.api_server
    import vllm.v1.engine.core
    import vllm.v1.worker.cpu_worker

    fork_engine()
    gc.freeze()
    gc.enable()
    # Shown by vLLM's usage message, and where it looks for its subcommand.
    sys.argv[0] = "vllm"
    vllm.entrypoints.cli.main.main()


def fork_engine() -> None:
    """Makes vLLM fork its engine: its CPU platform sets the start method to spawn when it checks the configuration."""
    from vllm.platforms.cpu import CpuPlatform

    check = CpuPlatform.check_and_update_config.__func__

    def check_then_fork(cls: type, vllm_config: object) -> None:
        check(cls, vllm_config)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"

    CpuPlatform.check_and_update_config = classmethod(check_then_fork)


if __name__ == "__main__":
    main()
