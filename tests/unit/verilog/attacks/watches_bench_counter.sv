// expect: compile_error
// Ends the simulation when the bench's counter says so.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial wait (stats1.clocks > 100) $finish;
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
