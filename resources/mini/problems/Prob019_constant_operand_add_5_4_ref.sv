module RefModule(input [4:0] x, output [4:0] z);
  assign z = x + 5'd4;
endmodule
