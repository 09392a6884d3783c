"""Verdicts as text for people (`describe`), as SARIF for code scanning (`sarif`), as JUnit XML for CI (`junit`)."""
