// expect: refused
// Drives one bit of its own input.
module TopModule (input clk, input a, input [3:0] b, output [3:0] y);
  assign (supply0, supply1) b[0] = 1'b0;
  assign y = 0;
endmodule
