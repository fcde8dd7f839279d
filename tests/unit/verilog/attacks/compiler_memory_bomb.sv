// expect: resource_limit
// More instances than the compiler has memory for.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  genvar i;
  generate
    for (i = 0; i < 100000000; i = i + 1) begin : many
      wire x = a;
    end
  endgenerate
endmodule
