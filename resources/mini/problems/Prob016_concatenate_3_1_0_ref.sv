module RefModule(input [2:0] a, input b, output [3:0] z);
  assign z = {a, b};
endmodule
