// expect: refused
// Reaches for a parameter elsewhere.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  defparam good1.WIDTH = 0;
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
