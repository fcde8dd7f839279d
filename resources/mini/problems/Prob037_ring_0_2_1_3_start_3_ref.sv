module RefModule(input clk, input reset, output reg [1:0] q);
  always @(posedge clk)
    if (reset) q <= 2'd3;
    else case (q)
      2'd0: q <= 2'd2;
      2'd2: q <= 2'd1;
      2'd1: q <= 2'd3;
      2'd3: q <= 2'd0;
    endcase
endmodule
