"""The server: doors to `work/`, which does everything. What needs FastAPI imports it in its own file."""
