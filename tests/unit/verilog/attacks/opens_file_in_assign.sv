// expect: refused
// Opens a file in a continuous assignment.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  wire [31:0] file = $fopen("trace.txt");
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
