"""The networks: nothing about losses or files."""
