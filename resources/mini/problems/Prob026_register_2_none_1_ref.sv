module RefModule(input clk, input en, input [1:0] x, output reg [1:0] q);
  always @(posedge clk)
    if (en) q <= x;
endmodule
