module RefModule(input [2:0] u, input [2:0] v, output [2:0] f);
  assign f = u < v ? u : v;
endmodule
