"""Testbenches of the mini problems, in VerilogEval's conventions: modules `tb` and `stimulus_gen`, a `RefModule` beside
the `TopModule`, hint lines, and `Mismatches: N in M samples` last."""

from __future__ import annotations

from string import Template

from scripts.mini.tasks import CLOCK, Port, Task

SAMPLES_PER_BENCH = 200

_BENCH = Template("""\
`timescale 1 ns / 1 ns

// Drives the inputs of both modules: extremes first, then random values.
module stimulus_gen(
${stimulus_ports}
);
  initial begin
${first_values}
    @(negedge clk);
${second_values}
    @(negedge clk);
    repeat (${samples}) begin
${random_values}
      @(negedge clk);
    end
    $$finish;
  end
endmodule

module tb;
  typedef struct packed {
    int errors;
    int errortime;
    int clocks;
  } stats;

  stats stats1;
  reg clk = 0;
  always #5 clk = ~clk;

${signals}

  stimulus_gen stim1(${stimulus_connections});
  RefModule good1(${reference_connections});
  TopModule top_module1(${candidate_connections});

  // A bit that the reference leaves unknown matches anything; an unknown bit of the candidate matches nothing else.
${matches}
  wire tb_match = ${all_match};

  // Inputs change at the falling edge: both halves of a cycle are sampled shortly before they end.
  initial begin
    stats1 = 0;
${zero_counters}
    forever begin
      #4 stats1.clocks++;
      if (!tb_match) begin
        if (stats1.errors == 0) stats1.errortime = $$time;
        stats1.errors++;
      end
${count_errors}
      #1;
    end
  end

  final begin
${hints}
    $$display("Hint: Total mismatched samples is %0d out of %0d samples", stats1.errors, stats1.clocks);
    $$display("Simulation finished at %0d ns", $$time);
    $$display("Mismatches: %0d in %0d samples", stats1.errors, stats1.clocks);
  end

  initial begin
    #1000000 $$display("TIMEOUT");
    $$finish;
  end
endmodule
""")

_HINT = Template("""\
    if (errors_${name} == 0) $$display("Hint: Output '${name}' has no mismatches.");
    else $$display("Hint: Output '${name}' has %0d mismatches. First mismatch occurred at time %0d.",
                  errors_${name}, errortime_${name});""")

_COUNT = Template("""\
      if (!match_${name}) begin
        if (errors_${name} == 0) errortime_${name} = $$time;
        errors_${name} = errors_${name} + 1;
      end""")


def bench(task: Task) -> str:
    """The testbench of `task`."""
    inputs, outputs = task.inputs, [port.name for port in task.outputs]
    shared = [*([CLOCK] if task.clocked else []), *(port.name for port in inputs)]
    reset = task.reset[0] if task.reset else None
    return _BENCH.substitute(
        stimulus_ports=",\n".join(
            ["  input clk", *(f"  output reg {_range(port)}{port.name}" for port in inputs)],
        ),
        first_values=_assignments(4, [(port, _extreme(port, task, 0)) for port in inputs]),
        second_values=_assignments(4, [(port, _extreme(port, task, -1)) for port in inputs]),
        samples=SAMPLES_PER_BENCH,
        random_values=_assignments(
            6, [(port, _random(port, task) if port.name == reset else "$urandom") for port in inputs]
        ),
        signals="\n".join(
            [f"  wire {_range(port)}{port.name};" for port in inputs]
            + [f"  wire {_range(port)}{port.name}_ref, {port.name}_dut;" for port in task.outputs]
            + [f"  int errors_{name}, errortime_{name};" for name in outputs]
        ),
        stimulus_connections=", ".join(f".{name}({name})" for name in (CLOCK, *(port.name for port in inputs))),
        reference_connections=_connections(shared, outputs, "ref"),
        candidate_connections=_connections(shared, outputs, "dut"),
        matches="\n".join(f"  wire match_{name} = ({name}_dut ==? {name}_ref) === 1'b1;" for name in outputs),
        all_match=" & ".join(f"match_{name}" for name in outputs),
        zero_counters="\n".join(f"    errors_{name} = 0;" for name in outputs),
        count_errors="\n".join(_COUNT.substitute(name=name) for name in outputs),
        hints="\n".join(_HINT.substitute(name=name) for name in outputs),
    )


def _range(port: Port) -> str:
    return f"[{port.width - 1}:0] " if port.width > 1 else ""


def _assignments(indent: int, values: list[tuple[Port, str]]) -> str:
    return "\n".join(f"{' ' * indent}{port.name} = {value};" for port, value in values)


def _extreme(port: Port, task: Task, value: int) -> str:
    """All zeros or all ones; a reset is held in the first sample and released in the second."""
    if task.reset and port.name == task.reset[0]:
        return str(task.reset[1] if value == 0 else 1 - task.reset[1])
    return str(value)


def _random(port: Port, task: Task) -> str:
    """A reset is asserted in one of eight samples, an enable in one of two."""
    assert task.reset
    if port.name not in ("rst", "reset"):
        return "$urandom"
    return "($urandom % 8) == 0" if task.reset[1] else "($urandom % 8) != 0"


def _connections(shared: list[str], outputs: list[str], suffix: str) -> str:
    return ", ".join([*(f".{name}({name})" for name in shared), *(f".{name}({name}_{suffix})" for name in outputs)])
