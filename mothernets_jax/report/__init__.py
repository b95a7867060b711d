"""Pages of finished runs. Everything here reads what runs have written, without jax."""

from mothernets_jax.report.run_page import write_report

__all__ = ["write_report"]
