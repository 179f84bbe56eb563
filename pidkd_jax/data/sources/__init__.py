"""The datasets, one a file: a TFDS builder and an entry in the file's `DATASETS`."""
