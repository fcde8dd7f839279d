// expect: refused
// fools the plain tools
// Reads the reference's output through the bench.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @* y = tb.good1.y;
endmodule
