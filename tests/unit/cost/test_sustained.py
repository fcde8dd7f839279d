"""Peak and sustained: a burst is not sustained, and neither is a rate at which requests queue up."""

from __future__ import annotations

from typing import Any

from scripts.cost.sustained import peak, request_sec, sustained


def cell(rate: float | str, duration_sec: float, throughput: float | None, **changes: Any) -> dict[str, Any]:
    """30 requests of 101 tokens: 0.1 s to the first token, 10 ms for each of the others, so 1.1 s."""
    return {
        "request_rate_per_sec": rate,
        "prompts": 30,
        "completed": 30,
        "output_tokens": 101,
        "duration_sec": duration_sec,
        "output_tokens_per_sec": throughput,
        "ttft_ms": {"mean": 100.0},
        "tpot_ms": {"mean": 10.0},
        **changes,
    }


SLOW, FAST, QUEUEING, BURST = cell(1, 31.1, 97), cell(10, 4.1, 739), cell(60, 8.0, 379), cell("inf", 3.0, 1010)


def test_the_peak_is_the_burst_and_sustained_is_a_rate() -> None:
    cells = [SLOW, FAST, QUEUEING, BURST]
    assert peak(cells) is BURST
    assert sustained(cells, 0.8) is FAST


def test_a_faster_rate_that_queues_is_not_sustained() -> None:
    fastest = {**QUEUEING, "output_tokens_per_sec": 2000}
    assert sustained([SLOW, FAST, fastest], 0.8) is FAST


def test_the_share_decides_how_much_longer_than_possible_it_may_take() -> None:
    slower = {**FAST, "duration_sec": (3.0 + 1.1) / 0.8}
    assert sustained([SLOW, slower], 0.79) is slower
    assert sustained([SLOW, slower], 0.81) is SLOW


def test_a_rate_with_unanswered_requests_is_not_sustained() -> None:
    assert sustained([SLOW, {**FAST, "completed": 29}], 0.8) is SLOW


def test_only_bursts_sustain_nothing() -> None:
    assert sustained([BURST], 0.8) is None
    assert sustained([], 0.8) is None


def test_unknown_throughput_is_never_the_peak() -> None:
    assert peak([cell(1, 31.1, None), SLOW]) is SLOW


def test_an_answer_of_one_token_has_no_later_ones() -> None:
    assert request_sec(cell(1, 31.1, 1, output_tokens=1, tpot_ms={"mean": None})) == 0.1
