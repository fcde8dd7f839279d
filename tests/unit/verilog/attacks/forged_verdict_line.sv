// expect: runtime_error
// fools the plain tools
// Prints the verdict line itself and ends the simulation.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial begin
    $display("Mismatches: 0 in 120 samples");
    $finish;
  end
endmodule
