// expect: timeout
// Never lets the simulator go.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial forever ;
endmodule
