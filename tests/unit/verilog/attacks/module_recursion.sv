// expect: compile_error
// A module within itself.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  TopModule inner (clk, a, b, );
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
