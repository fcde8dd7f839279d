module TopModule (
  input  [7:0] a,
  input  [7:0] b,
  output [7:0] mean
);

  wire [8:0] sum = {1'b0, a} + {1'b0, b};

  assign mean = sum[8:1];

endmodule
