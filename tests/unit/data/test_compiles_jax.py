"""Answers that Icarus cannot compile: each has its reason, hostile ones get nothing, and a killed run goes on."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.common.icarus import WorkerSettings
from scripts.data import compiles
from scripts.data.codev import Sample
from scripts.data.compiles import compile_failures
from tests.unit.common.tools import ROOT, needs_tools

pytestmark = needs_tools

SETTINGS = WorkerSettings(timeout_sec=5, memory_bytes=256 << 20, sandboxed=True)
GOOD = "module TopModule(input a, output y);\n  assign y = ~a;\nendmodule"
ENDLESS = """module TopModule;
  function integer f(input integer x);
    begin f = 0; while (1) f = f + 1; end
  endfunction
  localparam X = f(1);
endmodule"""
GREEDY = """module TopModule;
  genvar i;
  generate for (i = 0; i < 100000000; i = i + 1) begin : g wire w; end endgenerate
endmodule"""


def samples(*answers: str) -> list[Sample]:
    return [Sample(f"row{number}", "p", answer) for number, answer in enumerate(answers, start=1)]


def reason(folder: Path, answer: str, **changes: object) -> str | None:
    (verdict,) = compile_failures(samples(answer), dataclasses.replace(SETTINGS, **changes), folder, 1)
    return verdict


def side_file(folder: Path) -> Path:
    (path,) = folder.glob("*/verdicts.jsonl")
    return path


def test_each_sample_has_its_verdict_and_equal_answers_are_compiled_once(tmp_path: Path) -> None:
    broken = GOOD.replace("endmodule", "")
    verdicts = compile_failures(samples(GOOD, broken, GOOD, broken), SETTINGS, tmp_path, 2)
    assert verdicts == [None, verdicts[1], None, verdicts[1]]
    assert "syntax error" in str(verdicts[1])
    assert len(side_file(tmp_path).read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("module m(input a;\nassign b = ;\nendmodule", "line 1: error: "),
        (
            "module m(output y);\n  assign y = nothing;\nendmodule",
            "line 2: error: Unable to bind wire/reg/memory `nothing'",
        ),
        (
            "module m(input a); foo f(a); bar #(3) g(a); foo h(a); endmodule",
            "unknown module type: foo, bar (instantiated, not defined)",
        ),
        ("", "No top level modules"),
        ("module m; wire \x1b[31m; endmodule", "line 1: "),
    ],
)
def test_the_reason_is_one_short_line(tmp_path: Path, answer: str, expected: str) -> None:
    verdict = reason(tmp_path, answer)
    assert verdict is not None
    assert verdict.startswith(expected)
    assert verdict.isprintable()


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    verdict = reason(tmp_path, f"module m; {'x' * 500} f(); endmodule")
    assert verdict is not None
    assert len(verdict) == compiles.REASON_CHARACTERS


def test_systemverilog_and_helper_modules_compile(tmp_path: Path) -> None:
    code = "module h(input logic a, output logic y); always_comb y = ~a; endmodule\n"
    assert reason(tmp_path, code + "module m(input a, output y); h u(.a(a), .y(y)); endmodule") is None


def test_files_of_the_host_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret.v"
    secret.write_text("module secret_name; endmodule\n")
    secret.chmod(0o644)
    for path in ("/etc/passwd", secret, "/proc/self/environ", "../../etc/hostname"):
        verdict = str(reason(tmp_path, f'`include "{path}"\n{GOOD}'))
        assert verdict.startswith("line 2: Include file ")
        assert verdict.endswith(" not found")


def test_neither_time_nor_memory_is_without_end(tmp_path: Path) -> None:
    started = time.monotonic()
    assert reason(tmp_path, ENDLESS, timeout_sec=1) == "the compiler did not end within its time"
    assert reason(tmp_path, GREEDY, timeout_sec=30) == "the compiler needed more memory than it may"
    assert time.monotonic() - started < 40


def test_without_the_sandbox_honest_code_is_judged_the_same(tmp_path: Path) -> None:
    assert reason(tmp_path, GOOD, sandboxed=False) is None
    assert "syntax error" in str(reason(tmp_path, "module m(", sandboxed=False))


def test_a_finished_run_compiles_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = samples(GOOD, "module m(")
    verdicts = compile_failures(rows, SETTINGS, tmp_path, 2)
    monkeypatch.setattr(compiles, "icarus_workers", lambda *_: pytest.fail("started workers"))
    assert compile_failures(rows[::-1], SETTINGS, tmp_path, 2) == verdicts[::-1]


def test_what_decides_a_verdict_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for changes in ({}, {"timeout_sec": 4}, {"memory_bytes": 128 << 20}, {"sandboxed": False}):
        reason(tmp_path, GOOD, **changes)
    monkeypatch.setattr(compiles, "icarus_version", lambda: "99.0")
    reason(tmp_path, GOOD)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    answers = [GOOD.replace("TopModule", f"m{number}") for number in range(150)]
    script = f"""
from pathlib import Path
from tests.unit.data.test_compiles_jax import SETTINGS, samples
from scripts.data.compiles import compile_failures
import json, sys
compile_failures(samples(*json.load(sys.stdin)), SETTINGS, Path({str(tmp_path)!r}), 2)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(answers))
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not (files := list(tmp_path.glob("*/verdicts.jsonl"))) or files[0].read_bytes().count(b"\n") < 5:
        assert time.monotonic() < deadline, "no verdict within a minute"
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    path = side_file(tmp_path)
    os.truncate(path, path.stat().st_size - 3)  # the last line torn
    kept = path.read_text().splitlines()[:-1]
    assert 0 < len(kept) < len(answers)
    # Waits for the lock of the killed run's workers, if they are not gone yet.
    assert compile_failures(samples(*answers), SETTINGS, tmp_path, 2) == [None] * len(answers)
    lines = path.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert len({json.loads(line)["sha256"] for line in lines}) == len(lines) == len(answers)
