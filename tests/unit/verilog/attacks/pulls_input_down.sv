// expect: refused
// Pulls its own input down.
module TopModule (input clk, input a, input [3:0] b, output [3:0] y);
  pulldown (a);
  assign y = 0;
endmodule
