// expect: refused
// Asks for a shell.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial $system("touch /tmp/trace");
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
