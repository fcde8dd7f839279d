module RefModule(input [3:0] a, input [3:0] b, output [7:0] z);
  assign z = a * b;
endmodule
