// expect: refused
// fools the plain tools
// Holds the bench's count of errors at zero.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial force tb.stats1.errors = 0;
endmodule
