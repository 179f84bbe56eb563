"""Devices, processes and signals: how a training uses several devices and stops safely.

- `devices`: shard each batch over the devices, and replicate all else.
- `device_groups`: run several trainings at once, each on its own devices.
- `processes`: let several processes train as one.
- `preemption`: turn SIGTERM, SIGHUP and Ctrl-C into a request that training loops read.
- `held_folder`: end where a locked folder was removed or replaced.
- `determinism`: make GPU programs give bit-identical results.
- `xla_flags`: set XLA's flags before JAX starts.
- `program_cache`: keep compiled programs and tuning results.
"""
