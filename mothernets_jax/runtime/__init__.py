"""The machine: devices, compiled programs, signals, hosts, progress."""
