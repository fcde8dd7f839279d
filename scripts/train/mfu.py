"""Model FLOP utilisation: the useful FLOPs of the timed steps, as a share of what the hardware could have done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.common.gemma4_layers import sample_forward_flops
from scripts.train.record import MetricsLog

HARDWARE_FILE = Path(__file__).resolve().parents[2] / "resources/hardware.yaml"
# Forward, and the backward pass to the activations: the frozen weights have no gradient, and what rematerialisation
# computes again, or padding, is of no use.
PASSES = 2
FORMULA = "2 x forward FLOPs of each sample's real tokens / (timed_sec x chips x peak FLOP/s of a chip)"


def model_flops_utilisation(
    log: MetricsLog, hf_config: dict[str, Any], hardware: str, timed_sec: float
) -> dict[str, Any]:
    """The `mfu` block of run.json. `mfu` is None where `hardware` has no known peak, or no step was timed."""
    import yaml

    entry = yaml.safe_load(HARDWARE_FILE.read_text()).get(hardware, {})
    peak = entry.get("peak_tflops_bf16")
    flops = timed_model_flops(log, hf_config)
    capacity = timed_sec * entry.get("chips", 1) * peak * 1e12 if peak and timed_sec else None
    return {
        "mfu": flops / capacity if capacity else None,
        "formula": FORMULA,
        "timed_model_flops": flops,
        "model_flops_per_sec": flops / timed_sec if timed_sec else None,
        "chips": entry.get("chips"),
        "peak_tflops_a_chip": peak,
        "peak_source": entry.get("spec_source"),
    }


def timed_model_flops(log: MetricsLog, hf_config: dict[str, Any]) -> float:
    """Useful FLOPs of the steps that compiled nothing."""
    lengths = [
        length for row in log.rows if not row["new_shape_in_process"] for length in log.sample_lengths(row["step"])
    ]
    flops_of = {length: sample_forward_flops(hf_config, length) for length in set(lengths)}
    return PASSES * sum(flops_of[length] for length in lengths)
