// expect: resource_limit
// A string that doubles.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  string s;
  initial begin
    s = "x";
    forever s = {s, s};
  end
endmodule
