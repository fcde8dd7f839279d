"""Cells have names and seeds of their own, and their results are vLLM's numbers under the project's names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import UserError
from scripts.common.settings import parse_settings
from scripts.serve.cells import BenchSettings, Cell, Rate, cell_name, cell_result, cells_of, latency

RATES = st.one_of(
    st.just("inf"), st.integers(1, 10**6), st.floats(1e-6, 1e6, allow_nan=False).filter(lambda rate: rate > 0)
)
CELLS = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6), RATES)
RAW = {
    "completed": 11, "duration": 6.25, "request_throughput": 1.76, "output_throughput": 56.3,
    "total_token_throughput": 169.0,
    "mean_ttft_ms": 30.4, "median_ttft_ms": 27.2, "p99_ttft_ms": 53.0,
    "mean_tpot_ms": 8.6, "median_tpot_ms": 8.1, "p99_tpot_ms": 12.9,
    "mean_itl_ms": 8.5, "median_itl_ms": 7.9, "p99_itl_ms": 25.2,
}  # fmt: skip


def settings_json(contexts: str, rates: str) -> str:
    return (
        '{"arm": "tpu", "hardware": "laptop", "server": {"backend": "native", "hardware_kind": "cpu", '
        '"tensor_parallel_size": 1, "max_model_len_tokens": 512, "dtype": "float32", "startup_timeout_sec": 300}, '
        f'"contexts": [{contexts}], "request_rates_per_sec": {rates}, "prompts_per_cell": 12}}'
    )


def test_cells_are_every_rate_of_every_context_in_order() -> None:
    text = settings_json(
        '{"input_tokens": 64, "output_tokens": 32}, {"input_tokens": 9, "output_tokens": 1}', '[2, "inf"]'
    )
    cells = list(cells_of(parse_settings(BenchSettings, text)))
    assert [cell.name for cell in cells] == [
        "in64_out32_rate2", "in64_out32_rateinf", "in9_out1_rate2", "in9_out1_rateinf"
    ]  # fmt: skip
    assert {cell.prompts for cell in cells} == {12}


@pytest.mark.parametrize(
    ("rate", "name"), [(2, "rate2"), (2.0, "rate2"), (0.5, "rate0.5"), ("inf", "rateinf"), (float("inf"), "rateinf")]
)
def test_a_rate_has_one_spelling(rate: Any, name: str) -> None:
    assert cell_name(64, 32, rate) == f"in64_out32_{name}"


@given(CELLS, CELLS)
def test_different_cells_have_different_names_and_prompts(
    first: tuple[int, int, Rate], second: tuple[int, int, Rate]
) -> None:
    same = first[:2] == second[:2] and float(first[2]) == float(second[2])
    one, two = (Cell(*lengths_and_rate, prompts=12) for lengths_and_rate in (first, second))
    assert (one.name == two.name) == same
    assert (one.seed == two.seed) == same
    assert 0 <= one.seed < 2**32


def test_a_cells_seed_does_not_change_with_the_machine_or_the_sweep() -> None:
    assert Cell(64, 32, 2.0, 12).seed == 2061063981


@pytest.mark.parametrize(
    ("contexts", "rates", "message"),
    [
        (
            '{"input_tokens": 500, "output_tokens": 32}',
            "[2]",
            "500 [+] 32 tokens does not fit in max_model_len_tokens 512",
        ),
        ('{"input_tokens": 0, "output_tokens": 32}', "[2]", r"settings.contexts\[0\]: .*must be positive"),
        ('{"input_tokens": 64, "output_tokens": 32}', "[0]", "request rates must be positive"),
        ('{"input_tokens": 64, "output_tokens": 32}', '["fast"]', "request_rates_per_sec"),
    ],
)
def test_impossible_sweeps_are_refused(contexts: str, rates: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_settings(BenchSettings, settings_json(contexts, rates))


def test_a_result_is_vllms_numbers_with_units() -> None:
    assert cell_result(Cell(64, 32, 2.0, 12), RAW, "bench/tpu/raw/in64_out32_rate2.json") == {
        "input_tokens": 64,
        "output_tokens": 32,
        "request_rate_per_sec": 2,
        "prompts": 12,
        "completed": 11,
        "duration_sec": 6.25,
        "request_throughput_per_sec": 1.76,
        "output_tokens_per_sec": 56.3,
        "total_tokens_per_sec": 169.0,
        "ttft_ms": {"mean": 30.4, "median": 27.2, "p99": 53.0},
        "tpot_ms": {"mean": 8.6, "median": 8.1, "p99": 12.9},
        "itl_ms": {"mean": 8.5, "median": 7.9, "p99": 25.2},
        "raw": "bench/tpu/raw/in64_out32_rate2.json",
    }


@pytest.mark.parametrize("value", [0, 0.0, float("nan"), None])
def test_a_latency_that_does_not_exist_is_null(value: Any) -> None:
    raw = {**RAW, "mean_itl_ms": value, "median_itl_ms": value, "p99_itl_ms": value}
    assert latency(raw, "itl") == {"mean": None, "median": None, "p99": None}
