`timescale 1 ps/1 ps

module stimulus_gen (
  input clk,
  output reg a,
  output reg [3:0] b
);
  initial begin
    {a, b} = 0;
    repeat (60) @(negedge clk) {a, b} <= $urandom;
    $finish;
  end
endmodule

module tb();
  typedef struct packed {
    int errors;
    int clocks;
  } stats;
  stats stats1;

  reg clk = 0;
  initial forever #5 clk = ~clk;

  logic a;
  logic [3:0] b;
  logic [3:0] y_ref;
  logic [3:0] y_dut;

  initial begin
    $dumpfile("wave.vcd");
    $dumpvars(1, stim1.clk, a, b, y_ref, y_dut);
  end

  wire tb_match = ({y_ref} === ({y_ref} ^ {y_dut} ^ {y_ref}));

  stimulus_gen stim1 (.clk, .*, .a);
  RefModule good1 (.clk, .a, .b, .y(y_ref));
  TopModule top_module1 (.clk, .a, .b, .y(y_dut));

  task settle;
    #1;
  endtask

  final begin
    $display("Hint: Total mismatched samples is %1d out of %1d samples\n", stats1.errors, stats1.clocks);
    $display("Mismatches: %1d in %1d samples", stats1.errors, stats1.clocks);
  end

  always @(posedge clk, negedge clk) begin
    stats1.clocks++;
    if (!tb_match) stats1.errors++;
  end

  initial begin
    #1000000
    $display("TIMEOUT");
    $finish();
  end
endmodule
