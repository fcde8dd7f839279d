// expect: refused
// fools the plain tools
// The same behind an escaped name.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @* y = \good1 .y;
endmodule
