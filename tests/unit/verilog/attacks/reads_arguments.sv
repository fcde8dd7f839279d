// expect: refused
// Reads the simulator's arguments.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  integer value;
  initial if ($value$plusargs("x=%d", value)) y = 0;
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
