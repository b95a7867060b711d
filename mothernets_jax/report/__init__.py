"""Pages of finished runs, made from files that runs have written, without JAX."""

from mothernets_jax.report.run_page import write_report

__all__ = ["write_report"]
