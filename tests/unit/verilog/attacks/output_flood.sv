// expect: resource_limit
// Prints without end.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial forever $display("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
endmodule
