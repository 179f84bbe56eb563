"""TFDS without TensorFlow: prepare a dataset, read its records, decode its images."""
