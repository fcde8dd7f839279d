module TopModule (
  input            clk,
  input            clear,
  input      [3:0] level,
  output reg [3:0] peak
);

  always @(posedge clk) begin
    if (clear)
      peak <= 4'd0;
    else if (level > peak)
      peak <= level;
  end

endmodule
