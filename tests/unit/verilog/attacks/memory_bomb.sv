// expect: resource_limit
// A queue that grows for ever.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  reg [63:0] queue [$];
  initial forever queue.push_back(1);
endmodule
