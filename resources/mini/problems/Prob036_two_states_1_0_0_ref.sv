module RefModule(input clk, input rst, input up, input down, output reg out);
  always @(posedge clk)
    if (rst) out <= 1'd1;
    else if (out) begin if (!down) out <= 1'd0; end
    else if (!up) out <= 1'd1;
endmodule
