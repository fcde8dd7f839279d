// expect: refused
// Brings a reference of its own.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
endmodule
module RefModule (input clk, input a, input [3:0] b, output [3:0] y);
endmodule
