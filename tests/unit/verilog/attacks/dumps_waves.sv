// expect: refused
// Has the simulator write waveforms.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  initial begin
    $dumpfile("/tmp/trace.vcd");
    $dumpvars;
  end
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
