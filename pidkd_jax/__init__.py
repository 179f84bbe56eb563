"""Projector-integration knowledge distillation with a shared classifier, in JAX and Flax.

Source: Zuo et al. 2024, Complex & Intelligent Systems 10:4521-4533,
doi:10.1007/s40747-024-01394-3.
"""

__version__ = '0.1.0'
