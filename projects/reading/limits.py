"""Limits of one table. Beyond them an upload is refused, or a row is rejected, with a sentence."""

MAX_COLUMNS = 2_000
MAX_ROWS = 20_000_000
MAX_CELL_CHARS = 1_000_000
MAX_LINE_CHARS = 16_000_000
MAX_JSON_DOCUMENT_BYTES = 256 * 1024**2  # A JSON array is parsed whole, so it must fit memory.
MAX_UNPACKED_BYTES = 1024**3  # Of an Excel workbook, which is a zip file.
MAX_NAME_CHARS = 120
SAMPLE_LINES = 1_000
SAMPLE_CHARS = 512 * 1024
MAX_IMAGES = 200_000
MAX_IMAGE_BYTES = 40 * 1024**2  # Of one file as it was sent.
MAX_ARCHIVE_BYTES = 8 * 1024**3  # Of everything in one archive, unpacked.
MAX_COMPRESSION_RATIO = 200  # Images are compressed already: what shrinks more is none.
MAX_TABLE_RATIO = 500  # Of a table's text: more is what zip bombs do.
MIN_TABLE_RATIO_CHECK_BYTES = 64 * 1024**2  # Below this it harms nobody.
MAX_STORED_SIDE = 2048  # Larger images, or those above MAX_STORED_BYTES, are stored smaller.
MAX_STORED_BYTES = 4 * 1024**2
