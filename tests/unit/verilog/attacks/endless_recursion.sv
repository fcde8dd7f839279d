// expect: runtime_error
// A function that calls itself until the stack is full.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  function automatic [31:0] deeper(input [31:0] n);
    deeper = deeper(n + 1) + 1;
  endfunction
  initial $display(deeper(0));
  always @(posedge clk) y <= a ? b : 4'd0;
endmodule
