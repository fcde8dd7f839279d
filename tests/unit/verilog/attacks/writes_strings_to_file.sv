// expect: refused
// Sends its messages to a file.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  integer file;
  initial begin
    file = $fopen("/tmp/trace", "a");
    $fwrite(file, "x");
  end
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
