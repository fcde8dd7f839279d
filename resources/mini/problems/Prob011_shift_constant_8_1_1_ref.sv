module RefModule(input [7:0] data, output [7:0] z);
  assign z = data << 1;
endmodule
