module RefModule(input clk, input reset, input req, output out);
  reg [3:0] t;
  always @(posedge clk)
    if (reset) t <= 4'd0;
    else if (t) t <= t - 4'd1;
    else if (req) t <= 4'd12;
  assign out = t != 4'd0;
endmodule
