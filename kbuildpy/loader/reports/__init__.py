"""Verdicts for those who read them: people (`describe`), code scanning (`sarif`), and test runners (`junit`)."""
