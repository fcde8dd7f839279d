module RefModule(input [6:0] x, output [3:0] r);
  assign r = x[6:3];
endmodule
