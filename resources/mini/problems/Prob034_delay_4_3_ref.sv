module RefModule(input clk, input [3:0] d, output reg [3:0] out);
  reg [3:0] r1, r2;
  always @(posedge clk)
    begin r1 <= d; r2 <= r1; out <= r2; end
endmodule
