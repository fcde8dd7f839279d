// expect: refused
// Brings a stimulus of its own, under an escaped name.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
module \stimulus_gen (input clk, output reg a, output reg [3:0] b);
  initial $finish;
endmodule
