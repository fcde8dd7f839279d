// expect: refused
// Deposits a value into its own input.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(negedge clk) begin
    $deposit(a, 1'b0);
    y = 0;
  end
endmodule
