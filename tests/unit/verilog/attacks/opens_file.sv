// expect: refused
// Opens a file; the answer is right.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  integer file;
  initial file = $fopen("trace.txt", "w");
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
