module RefModule(input clk, input reset, output reg [1:0] cnt);
  always @(posedge clk)
    if (reset) cnt <= 2'd0;
    else cnt <= cnt + 2'd1;
endmodule
