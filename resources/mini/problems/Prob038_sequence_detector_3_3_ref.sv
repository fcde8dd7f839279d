module RefModule(input clk, input reset, input d, output out);
  reg [2:0] h;
  always @(posedge clk)
    if (reset) h <= 3'd0;
    else h <= {h, d};
  assign out = h == 3'b011;
endmodule
