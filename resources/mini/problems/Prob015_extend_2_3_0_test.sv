`timescale 1 ns / 1 ns

// Drives the inputs of both modules: extremes first, then random values.
module stimulus_gen(
  input clk,
  output reg [1:0] a
);
  initial begin
    a = 0;
    @(negedge clk);
    a = -1;
    @(negedge clk);
    repeat (200) begin
      a = $urandom;
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

  wire [1:0] a;
  wire [4:0] r_ref, r_dut;
  int errors_r, errortime_r;

  stimulus_gen stim1(.clk(clk), .a(a));
  RefModule good1(.a(a), .r(r_ref));
  TopModule top_module1(.a(a), .r(r_dut));

  // A bit that the reference leaves unknown matches anything; an unknown bit of the candidate matches nothing else.
  wire match_r = (r_dut ==? r_ref) === 1'b1;
  wire tb_match = match_r;

  // Inputs change at the falling edge: both halves of a cycle are sampled shortly before they end.
  initial begin
    stats1 = 0;
    errors_r = 0;
    forever begin
      #4 stats1.clocks++;
      if (!tb_match) begin
        if (stats1.errors == 0) stats1.errortime = $time;
        stats1.errors++;
      end
      if (!match_r) begin
        if (errors_r == 0) errortime_r = $time;
        errors_r = errors_r + 1;
      end
      #1;
    end
  end

  final begin
    if (errors_r == 0) $display("Hint: Output 'r' has no mismatches.");
    else $display("Hint: Output 'r' has %0d mismatches. First mismatch occurred at time %0d.",
                  errors_r, errortime_r);
    $display("Hint: Total mismatched samples is %0d out of %0d samples", stats1.errors, stats1.clocks);
    $display("Simulation finished at %0d ns", $time);
    $display("Mismatches: %0d in %0d samples", stats1.errors, stats1.clocks);
  end

  initial begin
    #1000000 $display("TIMEOUT");
    $finish;
  end
endmodule
