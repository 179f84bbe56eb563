"""The ground floor: records, errors, the registry and safe files, which every other room builds on.

- `types` and `normalisation`: the records that rooms exchange.
- `errors`: `UserError`, whose message is one line with the remedy.
- `value`: a user's value, checked and in Python's own type.
- `registry`: finds methods, networks and datasets by the files that define them.
- `atomic_folder` and `atomic_file`: folders and files that are complete or absent.
- `npz`: arrays from untrusted files.
- `full_disk`: tells a full disk, a used-up quota and a limit on files from other errors.
- `regular_file`: text and JSON from files of bounded size, never from a pipe.
- `runtime`: the host's allocator, cores and cache folder.
"""
