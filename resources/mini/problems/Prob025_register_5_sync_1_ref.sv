module RefModule(input clk, input rst, input we, input [4:0] x, output reg [4:0] r);
  always @(posedge clk)
    if (rst) r <= 5'd0;
    else if (we) r <= x;
endmodule
