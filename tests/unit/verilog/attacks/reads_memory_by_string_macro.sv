// expect: refused
// Reads a file by a task that a macro hides.
`define LOAD $readmemh
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  reg [7:0] memory [0:3];
  initial `LOAD("/etc/passwd", memory);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
