module RefModule(input clk, input reset, output reg [3:0] r);
  always @(posedge clk)
    if (reset || r == 4'd10) r <= 4'd0;
    else r <= r + 4'd1;
endmodule
