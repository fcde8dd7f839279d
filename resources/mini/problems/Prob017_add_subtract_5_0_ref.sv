module RefModule(input [4:0] p, input [4:0] q, output [4:0] z);
  assign z = p + q;
endmodule
