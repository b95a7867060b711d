"""A whole experiment: plan, schedule, results, the run's folder."""
