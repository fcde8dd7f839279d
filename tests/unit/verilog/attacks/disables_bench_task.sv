// expect: compile_error
// fools the plain tools
// Disables a task of the bench.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial disable settle;
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
