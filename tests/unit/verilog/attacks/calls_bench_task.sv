// expect: compile_error
// Calls a task of the bench.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) begin
    settle;
    y <= a ? b : 4'd0;
  end
endmodule
