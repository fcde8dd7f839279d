// expect: compile_error
// Binds a module into the bench.
module evil (input clk);
  initial $finish;
endmodule
bind tb evil e (.clk(clk));
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
