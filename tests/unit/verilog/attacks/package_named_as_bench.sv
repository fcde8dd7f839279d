// expect: refused
// Takes the bench's name for a package.
package tb;
  localparam errors = 0;
endpackage
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
