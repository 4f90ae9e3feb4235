"""What a scan is, and how it is read, checked, cut into slices and written. Imports no torch."""
