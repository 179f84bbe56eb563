"""The commands of `pidkd`, one file each.

A file's docstring is the command's help: a line that says what it does, an example, and more. It
offers `define_flags`, which defines the command's flags, and `main`, which runs it; what stands on
the command line beside flags goes to `main` as arguments, where it takes any.
"""
