"""Runs the extraction leg of jobs."""
