module RefModule(input [2:0] data, output out);
  assign out = data >= 3'd2;
endmodule
