// expect: mismatch
// fools the plain tools
// Prints verdict lines by a monitor.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial $monitor("Mismatches: 0 in 120 samples");
endmodule
