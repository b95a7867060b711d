"""Packages of the wheel: those of the project, and configs/ inside of one of them.

All else is in pyproject.toml, which cannot add a folder to the packages that it finds.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["mothernets_jax*"]),
        "mothernets_jax.experiments.configs",
    ],
    package_dir={"mothernets_jax.experiments.configs": "configs"},
)
