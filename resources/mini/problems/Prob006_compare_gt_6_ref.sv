module RefModule(input [5:0] x, input [5:0] y, output out);
  assign out = x > y;
endmodule
