// expect: mismatch
// Configures the reference in its own place.
config c;
  design tb;
  instance tb.top_module1 use RefModule;
endconfig
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
endmodule
