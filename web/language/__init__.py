"""English and Chinese: texts are collected from templates and code, and translated where shown."""
