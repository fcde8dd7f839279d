// expect: refused
// Declares its input as a supply.
module TopModule (input clk, input supply0 a, input [3:0] b, output [3:0] y);
  assign y = 0;
endmodule
