module RefModule(input clk, input reset, input en, input d, output reg [3:0] r);
  always @(posedge clk)
    if (reset) r <= 4'd0;
    else if (en) r <= {r[2:0], d};
endmodule
