module RefModule(input [1:0] a, output [4:0] r);
  assign r = {3'd0, a};
endmodule
