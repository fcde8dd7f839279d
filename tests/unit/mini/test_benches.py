"""Benches of the problems: they follow VerilogEval's conventions and see what is wrong with a candidate."""

import random
import re

import pytest

from scripts.mini.benches import SAMPLES_PER_BENCH, bench
from scripts.mini.generator import FAMILIES, Family
from scripts.mini.make_problems import wrong_modules
from scripts.mini.simulation import SolutionError, passes_bench, run_icarus, solution_as_reference
from scripts.mini.tasks import Task


def simulate(task: Task, candidate: str) -> str:
    sources = {"c.sv": candidate, "test.sv": bench(task), "ref.sv": solution_as_reference(task.module())}
    return run_icarus(sources, ("-s", "tb"))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_reference_passes_and_trivially_wrong_modules_fail(family: Family) -> None:
    task = family(random.Random(5))
    reference, test = solution_as_reference(task.module()), bench(task)
    assert passes_bench(task.module(), reference, test)
    for wrong in wrong_modules(task):
        assert not passes_bench(wrong, reference, test), wrong


def test_a_candidate_with_one_wrong_bit_is_counted_and_named() -> None:
    task = next(t for t in (FAMILIES[0](random.Random(s)) for s in range(99)) if t.key[1:3] == ("and", 4))
    out = task.outputs[0].name
    output = simulate(task, task.module().replace("assign", "wire x = 1;\n  assign").replace(";\nend", " ^ 4'd8;\nend"))
    total = re.search(r"^Mismatches: (\d+) in (\d+) samples$", output, re.MULTILINE)
    assert total
    assert total[1] == total[2]
    assert f"Hint: Output '{out}' has {total[1]} mismatches. First mismatch occurred at time 4." in output


def test_the_number_of_samples_does_not_depend_on_the_candidate() -> None:
    task = FAMILIES[0](random.Random(0))
    counts = {
        re.findall(r"in (\d+) samples$", simulate(task, candidate), re.MULTILINE)[0]
        for candidate in (task.module(), *wrong_modules(task))
    }
    assert counts == {str(2 * (SAMPLES_PER_BENCH + 2))}


def test_an_unknown_output_is_a_mismatch() -> None:
    task = FAMILIES[0](random.Random(0))
    unknown = wrong_modules(task)[0].replace("= 0;", "= 'bx;")
    assert "Mismatches: 0 " not in simulate(task, unknown)


def test_a_bench_that_the_candidate_ends_at_once_is_no_pass() -> None:
    task = FAMILIES[0](random.Random(0))
    ending = task.module().replace("endmodule", "  initial $finish;\nendmodule")
    assert not passes_bench(ending, solution_as_reference(task.module()), bench(task))


def test_a_candidate_that_does_not_compile_raises_with_the_compilers_words() -> None:
    with pytest.raises(SolutionError, match="syntax error"):
        simulate(FAMILIES[0](random.Random(0)), "module TopModule(")
