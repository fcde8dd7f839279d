// expect: runtime_error
// Ends the simulation after some samples.
`timescale 1 ps/1 ps
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
  initial #200 $finish;
endmodule
