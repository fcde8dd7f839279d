module RefModule(input [7:0] x, output z);
  assign z = ^x;
endmodule
