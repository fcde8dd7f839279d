module RefModule(input [7:0] u, input [7:0] v, output [7:0] z);
  assign z = u ^ v;
endmodule
