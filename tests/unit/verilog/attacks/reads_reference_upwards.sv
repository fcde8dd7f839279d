// expect: refused
// fools the plain tools
// Reads the reference's output by a name that is searched upwards.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @* y = good1.y;
endmodule
