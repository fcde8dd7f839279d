module RefModule(input x, input y, output [1:0] r);
  assign r = x + y;
endmodule
