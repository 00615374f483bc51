"""Which approved answer a question asks for, and how sure that is.

A probe on sentence embeddings, the nearest known phrasing and BM25 each score every answer;
`held_out` measures them on questions they have not seen, `calibration` turns the scores into the
probability of being right and finds the threshold that keeps a promise. `scoring` and `terms` need
numpy only: web processes import them.
"""
