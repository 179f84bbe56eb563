"""Records, errors and files that every other room builds on; no JAX program lives here."""
