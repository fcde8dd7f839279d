// expect: timeout
// Never lets the compiler go.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  function integer endless(input integer x);
    begin
      endless = 0;
      while (1) endless = endless + x;
    end
  endfunction
  localparam N = endless(1);
endmodule
