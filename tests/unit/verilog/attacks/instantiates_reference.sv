// expect: refused
// fools the plain tools
// Lets the reference do the work.
module TopModule (input clk, input a, input [3:0] b, output [3:0] y);
  RefModule worker (clk, a, b, y);
endmodule
