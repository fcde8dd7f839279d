module RefModule(input clk, input reset, input t, output reg [4:0] r);
  always @(posedge clk)
    if (reset) r <= 5'd31;
    else if (t) r <= ~r;
endmodule
