module RefModule(input clk, input [5:0] d, output [5:0] z);
  reg [5:0] p;
  always @(posedge clk) p <= d;
  assign z = ~d & p;
endmodule
