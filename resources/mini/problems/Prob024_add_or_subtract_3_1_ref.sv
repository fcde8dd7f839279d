module RefModule(input [2:0] a, input [2:0] b, input s, output [2:0] r);
  assign r = s ? a - b : a + b;
endmodule
