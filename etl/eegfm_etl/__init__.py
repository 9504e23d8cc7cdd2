"""Harmonise EEG archives into the lake."""
