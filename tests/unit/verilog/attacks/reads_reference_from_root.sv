// expect: compile_error
// Reads the reference by an absolute path.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @* y = $root.tb.good1.y;
endmodule
