// expect: refused
// fools the plain tools
// The same, put together by macros.
`define PATH(x) go``x.y
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @* y = `PATH(od1);
endmodule
