"""Measurements that anyone can run again; they print and store every figure that the docs quote."""
