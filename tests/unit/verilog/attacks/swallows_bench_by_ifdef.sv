// expect: compile_error
// Leaves a conditional open that would swallow the bench.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
`ifdef NEVER
