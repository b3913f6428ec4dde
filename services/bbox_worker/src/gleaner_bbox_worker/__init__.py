"""Runs the grounding leg of jobs."""
