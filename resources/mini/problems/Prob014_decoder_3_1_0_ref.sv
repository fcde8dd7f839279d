module RefModule(input [2:0] s, input en, output [7:0] f);
  assign f = en ? 8'd1 << s : 8'd0;
endmodule
