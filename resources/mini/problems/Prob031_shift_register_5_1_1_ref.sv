module RefModule(input clk, input reset, input we, input a, output reg [4:0] out);
  always @(posedge clk)
    if (reset) out <= 5'd0;
    else if (we) out <= {a, out[4:1]};
endmodule
