"""Copies of the read models for other processes and other tools."""
