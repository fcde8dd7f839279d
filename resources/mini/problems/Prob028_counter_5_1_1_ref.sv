module RefModule(input clk, input rst, input we, output reg [4:0] q);
  always @(posedge clk)
    if (rst) q <= 5'd0;
    else if (we) q <= q - 5'd1;
endmodule
