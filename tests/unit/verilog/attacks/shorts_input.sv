// expect: refused
// fools the plain tools
// Ties its own input, and with it the reference's, to ground through a switch.
module TopModule (input clk, input a, input [3:0] b, output [3:0] y);
  supply0 ground;
  tran (a, ground);
  assign y = 0;
endmodule
