// expect: refused
// Drives its own input from a submodule whose instance has a quote in its name.
module Short (output o);
  assign (supply0, supply1) o = 1'b0;
endmodule
module TopModule (input clk, input a, input [3:0] b, output [3:0] y);
  Short \x"y (.o(a));
  assign y = 0;
endmodule
