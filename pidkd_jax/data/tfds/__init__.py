"""TFDS without TensorFlow: prepare a dataset, and read its records."""
