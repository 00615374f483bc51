"""What one table may hold. Beyond these an upload is refused or a row rejected, with a sentence."""

MOST_COLUMNS = 2_000
MOST_ROWS = 20_000_000
MOST_CELL_CHARS = 1_000_000
MOST_LINE_CHARS = 16_000_000
MOST_JSON_DOCUMENT_BYTES = 256 * 1024**2  # A JSON array is parsed whole, so it must fit memory.
MOST_UNPACKED_BYTES = 1024**3  # Of an Excel workbook, which is a zip file.
MOST_NAME_CHARS = 120
SAMPLE_LINES = 1_000
SAMPLE_CHARS = 512 * 1024
MOST_PICTURES = 200_000
MOST_PICTURE_BYTES = 40 * 1024**2  # Of one file as it was sent.
MOST_PICTURES_BYTES = 8 * 1024**3  # Of everything in one archive, unpacked.
MOST_RATIO = 200  # Pictures are compressed already: what shrinks more than this is no picture.
KEPT_SIDE = 2048  # Larger pictures, or those above KEPT_BYTES, are stored smaller.
KEPT_BYTES = 4 * 1024**2
