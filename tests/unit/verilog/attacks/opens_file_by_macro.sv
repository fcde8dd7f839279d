// expect: refused
// Opens a file by a task whose name macros put together.
`define TASK(x) $f``x
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  integer file;
  initial file = `TASK(open)("trace.txt", "w");
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
