module RefModule(input clk, input rst, input x, output r);
  reg [3:0] h;
  always @(posedge clk)
    if (rst) h <= 4'd0;
    else h <= {h, x};
  assign r = h == 4'b1110;
endmodule
