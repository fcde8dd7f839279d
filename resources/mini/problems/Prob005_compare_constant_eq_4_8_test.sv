`timescale 1 ns / 1 ns

// Drives the inputs of both modules: extremes first, then random values.
module stimulus_gen(
  input clk,
  output reg [3:0] data
);
  initial begin
    data = 0;
    @(negedge clk);
    data = -1;
    @(negedge clk);
    repeat (200) begin
      data = $urandom;
      @(negedge clk);
    end
    $finish;
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

  wire [3:0] data;
  wire f_ref, f_dut;
  int errors_f, errortime_f;

  stimulus_gen stim1(.clk(clk), .data(data));
  RefModule good1(.data(data), .f(f_ref));
  TopModule top_module1(.data(data), .f(f_dut));

  // A bit that the reference leaves unknown matches anything; an unknown bit of the candidate matches nothing else.
  wire match_f = (f_dut ==? f_ref) === 1'b1;
  wire tb_match = match_f;

  // Inputs change at the falling edge: both halves of a cycle are sampled shortly before they end.
  initial begin
    stats1 = 0;
    errors_f = 0;
    forever begin
      #4 stats1.clocks++;
      if (!tb_match) begin
        if (stats1.errors == 0) stats1.errortime = $time;
        stats1.errors++;
      end
      if (!match_f) begin
        if (errors_f == 0) errortime_f = $time;
        errors_f = errors_f + 1;
      end
      #1;
    end
  end

  final begin
    if (errors_f == 0) $display("Hint: Output 'f' has no mismatches.");
    else $display("Hint: Output 'f' has %0d mismatches. First mismatch occurred at time %0d.",
                  errors_f, errortime_f);
    $display("Hint: Total mismatched samples is %0d out of %0d samples", stats1.errors, stats1.clocks);
    $display("Simulation finished at %0d ns", $time);
    $display("Mismatches: %0d in %0d samples", stats1.errors, stats1.clocks);
  end

  initial begin
    #1000000 $display("TIMEOUT");
    $finish;
  end
endmodule
