"""The command `mothernets`: train, plan, report, compare and predict."""
