// expect: resource_limit
// Processes that beget processes.
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  task automatic spawn;
    fork
      spawn;
      spawn;
    join
  endtask
  initial spawn;
endmodule
