// expect: resource_limit
// A memory larger than the simulator may have.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  reg [7:0] memory [0:2000000000];
  initial memory[5] = 1;
endmodule
