"""BERT encoders computed by a kernel of our own, which is compiled where it runs.

ONNX Runtime's int8 gives all tokens of a run one scale, so each text must be run alone, and it
copies activations between some 250 small nodes. The kernel packs the tokens of all texts end to
end, with a scale for each: half the processor time, nearer to float32, and a text's outputs have
the same bits whatever stands beside it. It needs a processor with AVX2 and FMA, or with AVX-512
VNNI, and a C compiler; without them the ONNX file answers.
"""
