"""The packages that turn weights into ONNX: files made by other versions are made again."""

EXPORT_PACKAGES = ("torch", "transformers", "onnx", "onnxruntime")
