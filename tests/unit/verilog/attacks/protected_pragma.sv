// expect: refused
// Hides code in a protected envelope.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
`pragma protect begin_protected
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
