// expect: mismatch
// fools the plain tools
// Prints a verdict line of its own in a final block.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  final $display("\nMismatches: 0 in 120 samples");
endmodule
