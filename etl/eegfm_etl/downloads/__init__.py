"""Fetching a data set: lists of its files, files that resume and are checked, and where they lie."""
