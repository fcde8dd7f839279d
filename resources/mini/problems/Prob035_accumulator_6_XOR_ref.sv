module RefModule(input clk, input reset, input [5:0] data, output reg [5:0] out);
  always @(posedge clk)
    if (reset) out <= 6'd0;
    else out <= out ^ data;
endmodule
