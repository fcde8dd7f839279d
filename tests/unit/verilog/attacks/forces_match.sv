// expect: refused
// fools the plain tools
// Holds the bench's comparison true.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial force tb.tb_match = 1;
endmodule
