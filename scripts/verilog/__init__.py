"""VerilogEval: samples from a served model, verdicts from Icarus Verilog, pass@k."""
