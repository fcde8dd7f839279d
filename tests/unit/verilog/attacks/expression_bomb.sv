// expect: resource_limit
// An expression nested until the compiler's parser is full.
`define L0 (
`define R0 )
`define L1 `L0 `L0 `L0 `L0 `L0 `L0 `L0 `L0 `L0 `L0
`define R1 `R0 `R0 `R0 `R0 `R0 `R0 `R0 `R0 `R0 `R0
`define L2 `L1 `L1 `L1 `L1 `L1 `L1 `L1 `L1 `L1 `L1
`define R2 `R1 `R1 `R1 `R1 `R1 `R1 `R1 `R1 `R1 `R1
`define L3 `L2 `L2 `L2 `L2 `L2 `L2 `L2 `L2 `L2 `L2
`define R3 `R2 `R2 `R2 `R2 `R2 `R2 `R2 `R2 `R2 `R2
`define L4 `L3 `L3 `L3 `L3 `L3 `L3 `L3 `L3 `L3 `L3
`define R4 `R3 `R3 `R3 `R3 `R3 `R3 `R3 `R3 `R3 `R3
`define L5 `L4 `L4 `L4 `L4 `L4 `L4 `L4 `L4 `L4 `L4
`define R5 `R4 `R4 `R4 `R4 `R4 `R4 `R4 `R4 `R4 `R4
module TopModule (input clk, input a, input [3:0] b, output reg [3:0] y);
  always @(posedge clk) y <= `L5 a `R5 ? b : 4'd0;
endmodule
