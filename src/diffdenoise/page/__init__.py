"""Pages for the browser: what is known of a result, in one file, and of many results."""
