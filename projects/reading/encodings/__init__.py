"""How the bytes of a text file spell letters: by marks, zeros, validity, scripts and alphabets."""
