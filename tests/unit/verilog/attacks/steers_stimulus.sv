// expect: refused
// fools the plain tools
// Draws from the bench's generator until its next value sets a to 0: then zero is right.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  reg [31:0] seed, next, value;
  initial begin seed = 0; y = 0; end
  always @(posedge clk) begin
    next = seed;
    value = $random(next);
    while (value[4]) begin
      value = $urandom;
      seed = next;
      value = $random(next);
    end
    seed = next;
  end
endmodule
