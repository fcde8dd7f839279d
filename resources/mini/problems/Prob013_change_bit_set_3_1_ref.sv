module RefModule(input [2:0] a, output [2:0] r);
  assign r = a | (3'd1 << 1);
endmodule
