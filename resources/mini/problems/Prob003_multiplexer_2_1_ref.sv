module RefModule(input [1:0] p, input [1:0] q, input sel, output [1:0] f);
  assign f = sel ? q : p;
endmodule
