module TopModule (
  input      [5:0] gray,
  output reg [5:0] binary
);

  integer place;

  always @(*) begin
    binary[5] = gray[5];
    for (place = 4; place >= 0; place = place - 1)
      binary[place] = binary[place + 1] ^ gray[place];
  end

endmodule
