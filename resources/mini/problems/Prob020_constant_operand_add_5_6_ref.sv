module RefModule(input [4:0] data, output [4:0] r);
  assign r = data + 5'd6;
endmodule
