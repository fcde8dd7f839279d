module RefModule(input [1:0] p, input [1:0] q, output [1:0] z);
  assign z = p > q ? p - q : q - p;
endmodule
