// expect: compile_error
// Turns an input round.
module TopModule (input clk, inout a, input [3:0] b, output [3:0] y);
  assign (supply0, supply1) a = 1'b0;
  assign y = 0;
endmodule
