module RefModule(input [7:0] x, output [1:0] f);
  assign f = x[7:6];
endmodule
