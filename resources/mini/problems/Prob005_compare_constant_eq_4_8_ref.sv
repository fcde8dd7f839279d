module RefModule(input [3:0] data, output f);
  assign f = data == 4'd8;
endmodule
