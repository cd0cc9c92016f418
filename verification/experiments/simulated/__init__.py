"""Upgrades whose answer is known: how often a verdict is wrong, whether an interval covers."""
