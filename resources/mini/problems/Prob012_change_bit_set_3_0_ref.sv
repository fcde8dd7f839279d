module RefModule(input [2:0] x, output [2:0] r);
  assign r = x | (3'd1 << 0);
endmodule
