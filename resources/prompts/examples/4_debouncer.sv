module TopModule (
  input  clk,
  input  reset,
  input  button,
  output pressed
);

  localparam UP = 3'd0, UP_1 = 3'd1, UP_2 = 3'd2;
  localparam DOWN = 3'd3, DOWN_1 = 3'd4, DOWN_2 = 3'd5;

  reg [2:0] state, next;

  always @(*) begin
    case (state)
      UP:      next = button ? UP_1 : UP;
      UP_1:    next = button ? UP_2 : UP;
      UP_2:    next = button ? DOWN : UP;
      DOWN:    next = button ? DOWN : DOWN_1;
      DOWN_1:  next = button ? DOWN : DOWN_2;
      DOWN_2:  next = button ? DOWN : UP;
      default: next = UP;
    endcase
  end

  always @(posedge clk)
    state <= reset ? UP : next;

  assign pressed = state == DOWN || state == DOWN_1 || state == DOWN_2;

endmodule
