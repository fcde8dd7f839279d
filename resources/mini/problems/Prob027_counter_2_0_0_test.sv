`timescale 1 ns / 1 ns

// Drives the inputs of both modules: extremes first, then random values.
module stimulus_gen(
  input clk,
  output reg reset
);
  initial begin
    reset = 1;
    @(negedge clk);
    reset = 0;
    @(negedge clk);
    repeat (200) begin
      reset = ($urandom % 8) == 0;
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

  wire reset;
  wire [1:0] cnt_ref, cnt_dut;
  int errors_cnt, errortime_cnt;

  stimulus_gen stim1(.clk(clk), .reset(reset));
  RefModule good1(.clk(clk), .reset(reset), .cnt(cnt_ref));
  TopModule top_module1(.clk(clk), .reset(reset), .cnt(cnt_dut));

  // A bit that the reference leaves unknown matches anything; an unknown bit of the candidate matches nothing else.
  wire match_cnt = (cnt_dut ==? cnt_ref) === 1'b1;
  wire tb_match = match_cnt;

  // Inputs change at the falling edge: both halves of a cycle are sampled shortly before they end.
  initial begin
    stats1 = 0;
    errors_cnt = 0;
    forever begin
      #4 stats1.clocks++;
      if (!tb_match) begin
        if (stats1.errors == 0) stats1.errortime = $time;
        stats1.errors++;
      end
      if (!match_cnt) begin
        if (errors_cnt == 0) errortime_cnt = $time;
        errors_cnt = errors_cnt + 1;
      end
      #1;
    end
  end

  final begin
    if (errors_cnt == 0) $display("Hint: Output 'cnt' has no mismatches.");
    else $display("Hint: Output 'cnt' has %0d mismatches. First mismatch occurred at time %0d.",
                  errors_cnt, errortime_cnt);
    $display("Hint: Total mismatched samples is %0d out of %0d samples", stats1.errors, stats1.clocks);
    $display("Simulation finished at %0d ns", $time);
    $display("Mismatches: %0d in %0d samples", stats1.errors, stats1.clocks);
  end

  initial begin
    #1000000 $display("TIMEOUT");
    $finish;
  end
endmodule
