"""The signal chain: samples of any source in, a signal file and its figures out; `harmonise` runs it."""
