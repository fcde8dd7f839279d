// expect: compile_error
// Takes the names of the bench's signals for types.
typedef int tb_match;
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
