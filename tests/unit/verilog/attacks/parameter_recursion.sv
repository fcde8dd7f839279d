// expect: compile_error
// A module within itself, by another parameter each time.
module deeper #(parameter N = 0) (input a);
  generate
    if (N >= 0) begin
      deeper #(N + 1) d (a);
    end
  endgenerate
endmodule
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  deeper d (a);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
