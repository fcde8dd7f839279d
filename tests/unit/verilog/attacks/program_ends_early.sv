// expect: runtime_error
// fools the plain tools
// Ends the simulation from a program block.
program early;
  initial $finish;
endprogram
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  early p ();
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
